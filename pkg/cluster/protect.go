package cluster

import (
	"fmt"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// protectAsDefined reads param cluster/protected the one time that it counts:
// when the cluster is made.
func protectAsDefined(r resource.Reader, c *api.Machine) {
	on, _, _ := param.Get(r, param.Scope{Machine: c}, ParamProtected)
	c.Protected, c.ProtectedBy = on == true, "definition"
}

// Protect sets or lifts the protection of a cluster; by is who asks. Nothing
// else changes it once the cluster is there.
func Protect(tx *resource.Tx, id string, on bool, by string) error {
	return api.Clusters.Modify(tx, id, func(c *api.Machine) error {
		if c.Protected != on {
			c.Protected, c.ProtectedBy = on, by
		}
		return nil
	})
}

// Upgrade gives clusters of before there was the field what their definition
// says, once.
func Upgrade(tx *resource.Tx) error {
	for c := range api.Clusters.All(tx) {
		if c.ProtectedBy != "" {
			continue
		}
		err := api.Clusters.Modify(tx, c.Uuid, func(c *api.Machine) error {
			protectAsDefined(tx, c)
			c.ProtectedBy = "upgrade"
			return nil
		})
		if err != nil {
			return fmt.Errorf("protection of cluster %s: %w", c.Name, err)
		}
	}
	return nil
}
