package inproc

import (
	"fmt"
	"maps"
	"slices"
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
	before []map[string]string // what the disks of each machine held when it began
}

// besieged is the site as it is before anything is tried.
func besieged(t *testing.T, site *Site) *siege {
	s := &siege{T: t, Site: site}
	for _, m := range site.Machines {
		require.Len(t, m.Holds(), 2, "both disks of %s hold something", m.Name)
		s.before = append(s.before, m.Holds())
	}
	return s
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

// The ways to protect.
const (
	open    = "open"    // nothing does
	field   = "cluster" // the field of the cluster
	serials = "disks"   // disk/protected in its profile
)

func TestProtectionHoldsWhateverIsTried(t *testing.T) {
	t.Parallel()
	// Even an open cluster loses nothing by these: something else refuses.
	barred := []string{"deletion", "a stage in three patches", "count 0 in the params of the order", "an order that brings its own plan"}
	for name, attack := range attacks() {
		for _, by := range []string{open, field, serials} {
			if by == serials && name == "an order that brings its own plan" {
				continue // pkg/guard refuses what is rendered; these agents are told nothing
			}
			t.Run(name+", "+by, func(t *testing.T) {
				inFakeTime(t, 3, func(t *testing.T, site *Site) { besiege(t, site, by, !slices.Contains(barred, name), attack) })
			})
		}
	}
}

func besiege(t *testing.T, site *Site, by string, real bool, attack func(*siege)) {
	require.NoError(t, site.Define(t.Context(), "demo", 3, "universal-cluster-provision"))
	require.NoError(t, site.Await(t.Context(), "cluster live", Live("demo")))
	s := besieged(t, site)
	switch by {
	case serials:
		require.NoError(t, s.editProfile("demo", func(p *api.Profile) {
			p.Params["disk/protected"] = []any{"disk1", "DISK2", " wwn-Disk3", "data1", "DATA2", "DATA3"}
		}))
	case field:
		require.NoError(t, s.update(func(tx *resource.Tx) error { return cluster.Protect(tx, s.Cluster("demo").Uuid, true, "somebody") }))
	}
	attack(s)
	time.Sleep(10 * time.Minute)
	lost := s.lost()
	if by == open {
		assert.Equal(t, real, lost > 0, "%d lost: without protection the attack is one", lost)
		return
	}
	assert.Zero(t, lost, "disks lost")
	for i := 1; i <= 3 && by == field; i++ {
		assert.Equal(t, api.InUse, s.member(i).PoolStatus)
	}
}

// lost counts the machines of which a disk does not hold what it held, byte by
// byte.
func (s *siege) lost() int {
	n := 0
	for i, m := range s.Machines {
		if !maps.Equal(s.before[i], m.Holds()) {
			n++
		}
	}
	return n
}

// TestProtectedDisksStayProtected names the disks of all members in one place,
// takes that place away from them, and destroys the cluster.
func TestProtectedDisksStayProtected(t *testing.T) {
	t.Parallel()
	disks := []any{"DISK1", "DISK2", "DISK3"}
	inProfile := func(s *siege) {
		require.NoError(s, s.editProfile("demo", func(p *api.Profile) { p.Params["disk/protected"] = disks }))
	}
	members := func(s *siege, fn func(m *api.Machine)) {
		for i := 1; i <= 3; i++ {
			require.NoError(s, s.editMember(i, fn))
		}
	}
	give := func(s *siege, p *api.Profile) {
		s.create(api.Profiles, p)
		members(s, func(m *api.Machine) { m.Profiles = append(m.Profiles, p.Name) })
	}
	keeper := func(name string) *api.Profile {
		return &api.Profile{Name: name, Params: resource.Params{"disk/protected": disks}}
	}
	for name, c := range map[string]struct {
		wipes int
		way   func(s *siege)
	}{
		"nowhere":                  {3, func(*siege) {}},
		"in the cluster's profile": {0, inProfile},
		"and taken out of it again": {3, func(s *siege) {
			inProfile(s)
			require.NoError(s, s.editProfile("demo", func(p *api.Profile) { delete(p.Params, "disk/protected") }))
		}},
		"and the profile dropped": {0, func(s *siege) {
			inProfile(s)
			members(s, func(m *api.Machine) { m.Profiles = []string{} })
		}},
		"and one disk lifted after that": {1, func(s *siege) {
			inProfile(s)
			members(s, func(m *api.Machine) { m.Profiles = []string{} })
			require.NoError(s, s.editProfile("demo", func(p *api.Profile) { p.Params["disk/protected"] = disks[1:] }))
		}},
		"overridden by an empty list on the machine": {0, func(s *siege) {
			inProfile(s)
			members(s, func(m *api.Machine) { m.Params["disk/protected"] = []any{} })
		}},
		"in the cluster's own params": {0, func(s *siege) {
			require.NoError(s, s.editCluster(func(c *api.Machine) { c.Params["disk/protected"] = disks }))
		}},
		"in the profile that all have": {0, func(s *siege) {
			require.NoError(s, s.editProfile("global", func(p *api.Profile) { p.Params = resource.Params{"disk/protected": disks} }))
			inProfile(s)
			require.NoError(s, s.editProfile("demo", func(p *api.Profile) { p.Params["disk/protected"] = []any{"OTHER"} }))
		}},
		"in a profile, while the machine names another": {0, func(s *siege) {
			give(s, keeper("keeper"))
			members(s, func(m *api.Machine) { m.Params["disk/protected"] = []any{"OTHER"} })
		}},
		"in a profile that was deleted": {0, func(s *siege) {
			give(s, keeper("keeper"))
			members(s, func(m *api.Machine) { m.Profiles = m.Profiles[:len(m.Profiles)-1] })
			require.NoError(s, s.update(func(tx *resource.Tx) error { return api.Profiles.Delete(tx, "keeper") }))
		}},
		"in one that was deleted and made again": {0, func(s *siege) {
			give(s, keeper("keeper"))
			members(s, func(m *api.Machine) { m.Profiles = m.Profiles[:len(m.Profiles)-1] })
			require.NoError(s, s.update(func(tx *resource.Tx) error { return api.Profiles.Delete(tx, "keeper") }))
			s.create(api.Profiles, &api.Profile{Name: "keeper"})
		}},
		"in a nested one that was taken out": {0, func(s *siege) {
			s.create(api.Profiles, keeper("keeper"))
			give(s, &api.Profile{Name: "outer", Profiles: []string{"keeper"}})
			require.NoError(s, s.editProfile("outer", func(p *api.Profile) { p.Profiles = []string{} }))
		}},
		"in an order that has ended": {0, func(s *siege) {
			s.create(api.Blueprints, &api.Blueprint{Name: "nothing", Tasks: []string{}})
			for i := 1; i <= 3; i++ {
				s.order(&api.WorkOrder{Blueprint: "nothing", Machine: s.member(i).Uuid, Params: resource.Params{"disk/protected": disks}})
			}
		}},
		"on the machine, removed by its pool": {0, func(s *siege) {
			members(s, func(m *api.Machine) { m.Params["disk/protected"] = disks })
			require.NoError(s, s.update(func(tx *resource.Tx) error {
				return api.Pools.Modify(tx, "default", func(p *api.Pool) error {
					p.ReleaseActions.RemoveParameters = []string{"disk/protected"}
					p.ReleaseActions.AddParameters = resource.Params{"disk/protected": []any{}}
					return nil
				})
			}))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, 3, func(t *testing.T, site *Site) {
				require.NoError(t, site.Define(t.Context(), "demo", 3, "universal-cluster-provision"))
				require.NoError(t, site.Await(t.Context(), "cluster live", Live("demo")))
				s := besieged(t, site)
				c.way(s)
				require.NoError(t, s.SetWorkflow(t.Context(), "demo", "universal-cluster-destroy"))
				time.Sleep(10 * time.Minute)
				assert.Equal(t, c.wipes, s.lost())
				held := 0
				for i := 1; i <= 3; i++ {
					if m := s.member(i); m.PoolStatus == api.HoldDestroy {
						held++
						assert.Contains(t, m.PoolHoldReason, "is protected")
					}
				}
				assert.Equal(t, 3-c.wipes, held, "held, not free")
			})
		})
	}
}
