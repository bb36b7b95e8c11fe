package pool

import (
	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// keepPool keeps the definition of a pool while machines are in it: it says what
// happens when they leave. A pool of a content pack goes with the pack.
func keepPool() resource.Hook {
	return resource.OnSave(api.Pools, func(tx *resource.Tx, old, new *api.Pool) error {
		if new != nil || old.ReadOnly || tx.Options().Force {
			return nil
		}
		n := 0
		for range api.Machines.By(tx, api.ByPool, old.Id) {
			n++
		}
		if n == 0 {
			return nil
		}
		return resource.Errorf(resource.Refused, api.Pools.Name, old.Id,
			"%d machines are in pool %s, which says what happens when they are released: remove them first (drpcli pools manage remove %s --all-machines), or force it (--force) and they stay in a pool without a definition", n, old.Id, old.Id)
	})
}
