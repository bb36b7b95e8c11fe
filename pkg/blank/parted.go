package blank

import (
	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// gone notes the deletion of whoever may have had machines.
func gone[T any](k *resource.Kind[T], who func(*T) Taker) resource.Hook {
	return resource.OnSave(k, func(tx *resource.Tx, old, new *T) error {
		if new != nil || tx.Loading() {
			return nil
		}
		return parted(tx, who(old))
	})
}

// parted notes that who had machines is deleted: whoever is given that name or
// uuid next does not get what they left.
func parted(tx *resource.Tx, who Taker) error {
	var ids []string
	for m := range api.Machines.All(tx) {
		if u := m.Unwiped; u != nil && u.Owner == who.Cluster && u.User == who.User {
			ids = append(ids, m.Uuid)
		}
	}
	for _, id := range ids {
		err := api.Machines.Modify(tx, id, func(m *api.Machine) error {
			u := *m.Unwiped
			m.Moving, u.Parted = true, true
			m.Unwiped = &u
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
