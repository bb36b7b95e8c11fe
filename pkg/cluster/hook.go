// Package cluster brings a cluster from its definition to service and back:
// members, quorum, order, election, rolling work, and the way home. It never
// touches machines' pools itself; it asks a broker by a work order.
package cluster

import (
	"maps"
	"slices"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/guard"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// The two entry points of a cluster's life.
const (
	Provision = "universal-cluster-provision"
	Destroy   = "universal-cluster-destroy"
)

// Params of a cluster's definition, and what the server notes in its profile.
const (
	ParamCount     = "cluster/count"
	ParamMachines  = "cluster/machines"
	ParamTags      = "cluster/tags"
	ParamProtected = "cluster/protected"
	ParamBroker    = "broker/name"
	ParamFlow      = "cluster/member-workflow"
	ParamJoin      = "cluster/join-blueprint"
	ParamLeave     = "cluster/leave-blueprint"
	ParamHealth    = "cluster/health-blueprint"
	ParamRolling   = "cluster/rolling-blueprint"
	ParamOrderMode = "cluster/work-order-mode"
	ParamLeader    = "cluster/leader"  // {Name, Uuid, Generation}: set once by election
	ParamJoined    = "cluster/members" // [{Name, Uuid, Address}]: who has joined, in order
)

// Hooks keep clusters and their profiles together, guard live ones, and take
// back what nobody waits for any more.
func Hooks() []resource.Hook {
	return []resource.Hook{resource.OnSave(api.Clusters, save), resource.OnSave(api.Profiles, sayProfile), resource.OnSave(api.Machines, keepMember), resource.OnSave(api.Jobs, endJob)}
}

func save(tx *resource.Tx, old, new *api.Machine) error {
	switch {
	case new == nil:
		return forget(tx, old)
	case old == nil:
		if err := define(tx, new); err != nil {
			return err
		}
		protectAsDefined(tx, new)
	case new.Workflow == Destroy && old.Workflow != Destroy:
		if err := guard.Cluster(tx, old, guard.End); err != nil {
			return err
		}
	}
	if old != nil {
		if err := sayOwn(tx, old, new); err != nil {
			return err
		}
	}
	if new.Workflow == Provision && (old == nil || old.Workflow != Provision) {
		new.Generation++
	}
	if old != nil && old.WorkOrderMode && !new.WorkOrderMode {
		return leaveOrderMode(tx, new)
	}
	return nil
}

// define makes the profile that the cluster shares with its members; the
// definition lives there.
func define(tx *resource.Tx, c *api.Machine) error {
	if api.Profiles.Has(tx, c.Name) {
		return resource.Errorf(resource.Conflict, "clusters", c.Name, "a profile named %s exists already; choose another name", c.Name)
	}
	p := &api.Profile{Name: c.Name, Params: maps.Clone(c.Params)}
	p.Description = "shared by cluster " + c.Name + " and its members"
	if err := api.Profiles.Create(tx, p); err != nil {
		return err
	}
	c.Params = resource.Params{}
	c.Profiles = append([]string{c.Name}, slices.DeleteFunc(c.Profiles, func(n string) bool { return n == c.Name })...)
	return nil
}

// forget removes a cluster's definition, never a live cluster's.
func forget(tx *resource.Tx, c *api.Machine) error {
	if err := guard.Cluster(tx, c, guard.Forget); err != nil {
		return err
	}
	if n := len(held(tx, c)); n > 0 {
		return resource.Errorf(resource.Refused, "clusters", c.Uuid, "cluster %s is live with %d machines: destroy it first (drpcli clusters destroy %s), then forget it", c.Name, n, c.Name)
	}
	if !c.WorkflowComplete && c.Workflow != "" && c.Runnable {
		return resource.Errorf(resource.Refused, "clusters", c.Uuid, "cluster %s is running %s: wait for it, or destroy the cluster first", c.Name, c.Workflow)
	}
	if !api.Profiles.Has(tx, c.Name) {
		return nil
	}
	// The cluster itself still refers to its profile until it is gone.
	tx.After(func() error { return api.Profiles.Delete(tx, c.Name) })
	return nil
}

func keepMember(tx *resource.Tx, old, new *api.Machine) error {
	if new != nil {
		return nil
	}
	if err := guard.Destroy(tx, old, guard.Delete); err != nil {
		return err
	}
	if old.Owner != "" {
		return resource.Errorf(resource.Refused, "machines", old.Uuid, "%s is a member of a cluster: resize or destroy that first", old.Name)
	}
	return nil
}

// Rule puts a cluster whose provisioning is complete into WorkOrder mode.
func Rule() engine.Rule {
	return engine.Rule{Name: "cluster service", Kind: api.Clusters, Step: Serve}
}

// Serve is the step of Rule.
func Serve(tx *resource.Tx, _ time.Time, id string) (engine.Result, error) {
	c, err := api.Clusters.Get(tx, id)
	if err != nil || !c.WorkflowComplete || c.WorkOrderMode || c.Workflow != Provision || len(held(tx, c)) == 0 {
		return engine.Result{}, err
	}
	if on, _, ok := param.Get(tx, param.Scope{Machine: c}, ParamOrderMode); ok && on == false {
		return engine.Result{}, nil
	}
	return engine.Result{}, api.Clusters.Modify(tx, id, func(c *api.Machine) error { c.WorkOrderMode = true; return nil })
}
