package inproc

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/cluster"
	"drpd/pkg/pool"
	"drpd/pkg/resource"
)

// siege is a live cluster of three, and one way to end its members' data.
type siege struct {
	*testing.T
	*Site
	protected bool
}

func (s *siege) update(fn func(tx *resource.Tx) error) error {
	return s.Core.DB.Update(s.Context(), fn)
}

func (s *siege) member(n int) *api.Machine {
	return api.Machines.One(s.Core.DB.View(), api.ByName, fmt.Sprintf("n%d", n))
}

func (s *siege) editMember(n int, fn func(m *api.Machine)) error {
	return s.update(func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, s.member(n).Uuid, func(m *api.Machine) error { fn(m); return nil })
	})
}

func (s *siege) editCluster(fn func(c *api.Machine)) error {
	return s.update(func(tx *resource.Tx) error {
		return api.Clusters.Modify(tx, s.Cluster("demo").Uuid, func(c *api.Machine) error { fn(c); return nil })
	})
}

func (s *siege) editProfile(name string, fn func(p *api.Profile)) error {
	return s.update(func(tx *resource.Tx) error {
		return api.Profiles.Modify(tx, name, func(p *api.Profile) error { fn(p); return nil })
	})
}

func (s *siege) create(k resource.Any, o any) {
	require.NoError(s, s.update(func(tx *resource.Tx) error { return k.CreateAny(tx, o) }))
}

// order runs a work order to its end, if it may begin at all.
func (s *siege) order(o *api.WorkOrder) {
	if s.update(func(tx *resource.Tx) error { return api.WorkOrders.Create(tx, o) }) != nil {
		return
	}
	_ = s.Await(s.Context(), "the order to end", func(v *resource.View) bool {
		now, err := api.WorkOrders.Get(v, o.Uuid)
		return err != nil || now.Ended()
	})
}

func (s *siege) flow(name string, stage *api.Stage) {
	s.create(api.Stages, stage)
	s.create(api.Workflows, &api.Workflow{Name: name, Stages: []string{stage.Name}})
}

// attacks are ways to lose data, each tried against one cluster.
func attacks() map[string]func(s *siege) {
	destroyTasks := []string{"action:cluster/leave", "action:cluster/release"}
	wipeTasks := []string{"action:disk/plan-wipe", "disk-wipe", "disk-verify-blank"}
	return map[string]func(s *siege){
		"destroy": func(s *siege) { _ = s.SetWorkflow(s.Context(), "demo", "universal-cluster-destroy") },
		"count 0 and reevaluate": func(s *siege) {
			_ = s.editProfile("demo", func(p *api.Profile) { p.Params["cluster/count"] = 0 })
			s.order(&api.WorkOrder{Blueprint: "cluster-reevaluate", Machine: s.Cluster("demo").Uuid})
		},
		"machines named otherwise and the base cluster's blueprint": func(s *siege) {
			_ = s.editProfile("demo", func(p *api.Profile) {
				p.Params["cluster/machines"] = map[string]any{"x": map[string]any{"names": []any{"other-1"}}}
			})
			s.order(&api.WorkOrder{Blueprint: "universal-application-base-cluster", Machine: s.Cluster("demo").Uuid})
		},
		"count 0 in the params of the order": func(s *siege) {
			s.order(&api.WorkOrder{Blueprint: "cluster-reevaluate", Machine: s.Cluster("demo").Uuid,
				Params: resource.Params{"cluster/count": 0, "cluster/protected": false}})
		},
		"release ordered from the broker": func(s *siege) {
			s.order(&api.WorkOrder{Blueprint: "broker-release", Machine: s.broker(),
				Params: resource.Params{"broker/cluster": s.Cluster("demo").Uuid, "broker/members": map[string]any{}}})
		},
		"release of all but one ordered from the broker": func(s *siege) {
			s.order(&api.WorkOrder{Blueprint: "broker-release", Machine: s.broker(),
				Params: resource.Params{"broker/cluster": s.Cluster("demo").Uuid, "broker/members": map[string]any{"demo-1": []any{}}}})
		},
		"a blueprint of one's own on the cluster": func(s *siege) {
			s.create(api.Blueprints, &api.Blueprint{Name: "away", Tasks: destroyTasks, Params: resource.Params{"cluster/protected": false}})
			s.order(&api.WorkOrder{Blueprint: "away", Machine: s.Cluster("demo").Uuid})
		},
		"a workflow of one's own": func(s *siege) {
			s.create(api.Workflows, &api.Workflow{Name: "away", Stages: []string{"cluster-destroy"}})
			_ = s.SetWorkflow(s.Context(), "demo", "away")
		},
		"a stage of one's own": func(s *siege) {
			s.flow("away", &api.Stage{Name: "away", Tasks: destroyTasks})
			_ = s.SetWorkflow(s.Context(), "demo", "away")
		},
		"an operation hidden in a task": func(s *siege) {
			task := &api.Task{Name: "harmless"}
			task.Meta = map[string]string{"native": "cluster/release"}
			s.create(api.Tasks, task)
			s.flow("away", &api.Stage{Name: "away", Tasks: []string{"harmless"}})
			_ = s.SetWorkflow(s.Context(), "demo", "away")
		},
		"a stage in one patch": func(s *siege) {
			_ = s.editCluster(func(c *api.Machine) { c.WorkOrderMode, c.Workflow, c.Stage = false, "", "cluster-destroy" })
		},
		"a stage in three patches": func(s *siege) {
			_ = s.editCluster(func(c *api.Machine) { c.Workflow = "" })
			_ = s.editCluster(func(c *api.Machine) { c.Stage = "cluster-destroy" })
			_ = s.editCluster(func(c *api.Machine) { c.WorkOrderMode = false })
		},
		"tasks in one patch": func(s *siege) {
			_ = s.editCluster(func(c *api.Machine) { c.WorkOrderMode, c.Workflow = false, "" })
			_ = s.editCluster(func(c *api.Machine) { c.Tasks, c.Runnable = destroyTasks, true })
		},
		"a nearer param": func(s *siege) {
			_ = s.editCluster(func(c *api.Machine) { c.Params["cluster/protected"] = false })
			_ = s.SetWorkflow(s.Context(), "demo", "universal-cluster-destroy")
		},
		"the param in the profile": func(s *siege) {
			_ = s.editProfile("demo", func(p *api.Profile) { p.Params["cluster/protected"] = false })
			_ = s.SetWorkflow(s.Context(), "demo", "universal-cluster-destroy")
		},
		"the profile dropped": func(s *siege) {
			_ = s.editCluster(func(c *api.Machine) { c.Profiles = []string{} })
			_ = s.SetWorkflow(s.Context(), "demo", "universal-cluster-destroy")
		},
		"another name": func(s *siege) {
			_ = s.editCluster(func(c *api.Machine) { c.Name = "renamed" })
			_ = s.SetWorkflow(s.Context(), "renamed", "universal-cluster-destroy")
		},
		"destroyed as a chain's next workflow": func(s *siege) {
			_ = s.editProfile("demo", func(p *api.Profile) {
				p.Params["universal/workflow-chain-override"] = map[string]any{"universal-cluster-provision": "universal-cluster-destroy"}
			})
			_ = s.editCluster(func(c *api.Machine) { c.WorkOrderMode, c.Workflow = false, "" })
			_ = s.editCluster(func(c *api.Machine) { c.Workflow = "universal-cluster-provision" })
		},
		"deletion": func(s *siege) {
			_ = s.update(func(tx *resource.Tx) error { return api.Clusters.Delete(tx, s.Cluster("demo").Uuid) })
			_ = s.Core.DB.Update(resource.WithOptions(s.Context(), resource.Options{Force: true}), func(tx *resource.Tx) error {
				return api.Machines.Delete(tx, s.member(1).Uuid)
			})
		},
		"a member decommissioned": func(s *siege) {
			_ = s.editMember(1, func(m *api.Machine) { m.WorkOrderMode = false })
			_ = s.editMember(1, func(m *api.Machine) { m.Workflow = "universal-decommission" })
		},
		"a member installed again": func(s *siege) {
			_ = s.editMember(1, func(m *api.Machine) { m.WorkOrderMode, m.Workflow = false, "" })
			_ = s.editMember(1, func(m *api.Machine) { m.Workflow = "universal-linux-install" })
		},
		"a member in the stage that wipes": func(s *siege) {
			_ = s.editMember(1, func(m *api.Machine) { m.WorkOrderMode, m.Workflow, m.Stage = false, "", "decommission" })
		},
		"a member with tasks that wipe": func(s *siege) {
			_ = s.editMember(1, func(m *api.Machine) { m.WorkOrderMode, m.Workflow, m.BootEnv = false, "", "discovery" })
			_ = s.editMember(1, func(m *api.Machine) { m.Tasks, m.Runnable = wipeTasks, true })
		},
		"an order that wipes a member": func(s *siege) {
			s.create(api.Blueprints, &api.Blueprint{Name: "wipe", Tasks: wipeTasks})
			s.order(&api.WorkOrder{Blueprint: "wipe", Machine: s.member(1).Uuid})
		},
		"an order that brings its own plan": func(s *siege) {
			s.create(api.Blueprints, &api.Blueprint{Name: "wipe", Tasks: []string{"disk-wipe"}})
			s.order(&api.WorkOrder{Blueprint: "wipe", Machine: s.member(1).Uuid, Params: resource.Params{
				"disk-plan/wipe": []any{map[string]any{"Serial": "DISK1"}}, "disk/protected": []any{}}})
		},
		"a member released to its pool": func(s *siege) {
			_ = s.update(func(tx *resource.Tx) error {
				_, err := pool.Operate(tx, pool.Request{Verb: pool.Release, Pool: "default", All: true, Force: true}, pool.Match(MatchTags))
				return err
			})
			_ = s.update(func(tx *resource.Tx) error { return pool.GiveBack(tx, s.member(1).Uuid, pool.Claim{}) })
		},
		"a member without its owner": func(s *siege) {
			_ = s.editMember(1, func(m *api.Machine) { m.Owner = "" })
			_ = s.editMember(1, func(m *api.Machine) { m.WorkOrderMode = false })
			_ = s.editMember(1, func(m *api.Machine) { m.Workflow = "universal-decommission" })
		},
	}
}

func (s *siege) broker() string {
	return api.Brokers.One(s.Core.DB.View(), api.ByName, "pool-broker").Uuid
}

func TestProtectionHoldsWhateverIsTried(t *testing.T) {
	t.Parallel()
	for name, attack := range attacks() {
		for _, protected := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, protected %v", name, protected), func(t *testing.T) {
				inFakeTime(t, 3, func(t *testing.T, site *Site) { besiege(t, site, protected, attack) })
			})
		}
	}
}

func besiege(t *testing.T, site *Site, protected bool, attack func(*siege)) {
	require.NoError(t, site.Define(t.Context(), "demo", 3, "universal-cluster-provision"))
	require.NoError(t, site.Await(t.Context(), "cluster live", Live("demo")))
	s := &siege{T: t, Site: site, protected: protected}
	if protected {
		require.NoError(t, s.update(func(tx *resource.Tx) error { return cluster.Protect(tx, s.Cluster("demo").Uuid, true, "somebody") }))
	}
	attack(s)
	time.Sleep(10 * time.Minute)
	lost := 0
	for _, m := range site.Machines {
		lost += m.Wipes + m.Installs - 1
	}
	t.Logf("%d disks lost", lost)
	if !protected {
		return
	}
	assert.Zero(t, lost, "disks of a protected cluster")
	for i := 1; i <= 3; i++ {
		assert.Equal(t, api.InUse, s.member(i).PoolStatus)
	}
}
