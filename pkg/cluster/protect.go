package cluster

import (
	"fmt"
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// protectAsDefined reads param cluster/protected the one time that it counts:
// when the cluster is made.
func protectAsDefined(r resource.Reader, c *api.Machine) {
	on, _, _ := param.Get(r, param.Scope{Machine: c}, ParamProtected)
	c.Protected, c.ProtectedBy = c.Protected || on == true, "definition"
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

// sayProfile and sayOwn keep the param from looking as if it lifted, or gave, a
// protection: it counts only when a cluster is made.
func sayProfile(tx *resource.Tx, old, new *api.Profile) error {
	if old == nil || new == nil || tx.Loading() || says(old.Params) == says(new.Params) {
		return nil
	}
	for c := range api.Clusters.All(tx) {
		if err := contradicts(c, says(new.Params), c.Name == new.Name, "profile "+new.Name); err != nil && carries(tx, c, new.Name) {
			return err
		}
	}
	return nil
}

func sayOwn(tx *resource.Tx, old, new *api.Machine) error {
	if tx.Loading() || says(old.Params) == says(new.Params) {
		return nil
	}
	return contradicts(new, says(new.Params), true, "cluster "+new.Name)
}

// says is what the params of one object say of protection; nil is nothing.
func says(p resource.Params) any { return p[ParamProtected] }

// contradicts refuses a value that is not what the cluster is. An object that is
// not the cluster's alone may want protection for those that are yet to be made.
func contradicts(c *api.Machine, v any, alone bool, where string) error {
	switch {
	case c.Protected && v != true:
		return resource.Errorf(resource.Refused, "clusters", c.Uuid,
			"cluster %s is protected, and param %s of %s does not lift that: it counts only when a cluster is made; lift it first (drpcli clusters unprotect %s)", c.Name, ParamProtected, where, c.Name)
	case !c.Protected && v == true && alone:
		return resource.Errorf(resource.Refused, "clusters", c.Uuid,
			"param %s of %s does not protect cluster %s: it counts only when a cluster is made; protect it first (drpcli clusters protect %s)", ParamProtected, where, c.Name, c.Name)
	}
	return nil
}

// carries says whether the cluster takes params from the profile.
func carries(r resource.Reader, c *api.Machine, profile string) bool {
	seen, todo := map[string]bool{param.Global: true}, slices.Clone(c.Profiles)
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if p, err := api.Profiles.Get(r, name); err == nil && !seen[name] {
			todo = append(todo, p.Profiles...)
		}
		seen[name] = true
	}
	return seen[profile]
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
