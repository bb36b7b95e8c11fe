package inproc

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/blank"
	"drpd/pkg/daemon"
	"drpd/pkg/pool"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

// change edits machine n1 as REST does, through all hooks.
func (s *Site) change(ctx context.Context, name string, fn func(m *api.Machine)) error {
	return s.Core.DB.Update(ctx, func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, api.Machines.One(tx, api.ByName, name).Uuid, func(m *api.Machine) error { fn(m); return nil })
	})
}

func (s *Site) machine(name string) *api.Machine {
	return api.Machines.One(s.Core.DB.View(), api.ByName, name)
}

// stage makes a workflow of one stage.
func stageOf(tx *resource.Tx, name, env string, tasks ...string) error {
	if err := api.Stages.Create(tx, &api.Stage{Name: name, BootEnv: env, Tasks: tasks}); err != nil {
		return err
	}
	return api.Workflows.Create(tx, &api.Workflow{Name: name, Stages: []string{name}})
}

func poolWith(tx *resource.Tx, id, flow string) error {
	return api.Pools.Put(tx, &api.Pool{Id: id, ReleaseActions: &api.PoolActions{Workflow: flow}})
}

// way is one way in which a machine comes back from a cluster.
type way struct {
	pool   string                               // it is in; default: default
	params resource.Params                      // of the cluster
	before func(s *Site, tx *resource.Tx) error // the cluster is made
	live   func(s *Site, tx *resource.Tx) error // before it is destroyed
	during func(m *api.Machine)                 // while it is Destroying
	disks  func(m *Machine)                     // before it is destroyed
	held   string                               // why it is held; "": it is Free and blank
	keeps  int                                  // disks that still hold something when it is held
}

func flowDeletesParam(name string) func(s *Site, tx *resource.Tx) error {
	return func(s *Site, tx *resource.Tx) error {
		return api.Machines.Modify(tx, s.machine("n1").Uuid, func(m *api.Machine) error { delete(m.Params, name); return nil })
	}
}

func param1(name string, v any) func(s *Site, tx *resource.Tx) error {
	return func(s *Site, tx *resource.Tx) error {
		return api.Machines.Modify(tx, s.machine("n1").Uuid, func(m *api.Machine) error { m.Params[name] = v; return nil })
	}
}

// release replaces what the pool does with released machines.
func releaseBy(flow string, tasks ...string) func(s *Site, tx *resource.Tx) error {
	return func(s *Site, tx *resource.Tx) error {
		if flow != "" {
			if err := stageOf(tx, flow, "discovery", tasks...); err != nil {
				return err
			}
		}
		return poolWith(tx, "default", flow)
	}
}

func ways() map[string]way {
	out := map[string]way{
		"as it should be":            {},
		"a pool without object":      {pool: "nopool"},
		"a new pool without actions": {pool: "rackB", before: func(_ *Site, tx *resource.Tx) error { return api.Pools.Create(tx, &api.Pool{Id: "rackB"}) }},
		"a private pool":             {params: resource.Params{"broker-pool/allocate": false}},
		"ReleaseActions removed":     {live: func(_ *Site, tx *resource.Tx) error { return api.Pools.Put(tx, &api.Pool{Id: "default"}) }},
		"ReleaseActions emptied":     {live: releaseBy("")},
		"the pool's object is forced": {live: func(_ *Site, tx *resource.Tx) error {
			return api.Pools.Put(tx, &api.Pool{Id: "default", ExitActions: &api.PoolActions{}})
		}},
		"no plan of the installation":  {live: flowDeletesParam("disk-plan/install")},
		"no inventory of before":       {live: flowDeletesParam("inventory/data")},
		"an empty inventory param":     {live: param1("inventory/data", map[string]any{"Disks": []any{}})},
		"an old empty wipe plan":       {live: param1("disk-plan/wipe", []any{})},
		"named another disk":           {live: param1("disk-wipe/serials", []any{"DATA1"})},
		"named no disk":                {live: param1("disk-wipe/serials", []any{})},
		"named a disk that is nowhere": {live: param1("disk-wipe/serials", []any{"NONE"}), held: "no disk with serial NONE", keeps: 2},
		"a protected disk":             {live: param1("disk/protected", []any{"DATA1"}), held: "is protected", keeps: 2},

		"a workflow without tasks":           {live: releaseBy("site"), held: "no inventory of its disks was taken since", keeps: 2},
		"a workflow that only looks":         {live: releaseBy("site", "inventory"), held: "disk /dev/sda (serial DISK1) was not wiped; disk /dev/sdb (serial DATA1) was not wiped", keeps: 2},
		"a workflow that does not read":      {live: releaseBy("site", "inventory", "action:disk/plan-wipe", "disk-wipe"), held: "was wiped and not read back"},
		"a workflow that does not wipe":      {live: releaseBy("site", "inventory", "action:disk/plan-wipe", "disk-verify-blank"), held: "byte at offset 0 is not zero", keeps: 2},
		"a workflow without inventory":       {live: releaseBy("site", "action:disk/plan-wipe", "disk-wipe", "disk-verify-blank"), held: "the stage must take it first", keeps: 2},
		"a workflow without a plan":          {live: releaseBy("site", "inventory", "disk-wipe", "disk-verify-blank"), held: "disk-plan/wipe", keeps: 2},
		"a site's own that does all":         {live: releaseBy("site", "inventory", "action:disk/plan-wipe", "disk-wipe", "disk-verify-blank")},
		"another installation after it":      {live: releaseBy("site", "inventory", "action:disk/plan-wipe", "disk-wipe", "disk-verify-blank", "image-deploy"), held: "(serial DISK1) was not wiped", keeps: 1},
		"a planned installation after it":    {live: releaseBy("site", "inventory", "action:disk/plan-wipe", "disk-wipe", "disk-verify-blank", "inventory", "action:disk/plan-install", "image-deploy"), held: "param image-deploy/image is not set", keeps: 2},
		"a script after it":                  {live: releaseBy("site", "inventory", "action:disk/plan-wipe", "disk-wipe", "disk-verify-blank", "run-command"), held: "no inventory of its disks"},
		"an inventory after an installation": {live: releaseBy("site", "inventory", "action:disk/plan-wipe", "disk-wipe", "disk-verify-blank", "image-deploy", "inventory"), held: "was not wiped", keeps: 1},
		"verified before it is wiped":        {live: releaseBy("site", "inventory", "action:disk/plan-wipe", "disk-wipe"), held: "was wiped and not read back"},

		"workflow cleared":                   {during: func(m *api.Machine) { m.Workflow = "" }, held: "the data of cluster c is not proven to be gone", keeps: 2},
		"workflow set to universal-discover": {during: func(m *api.Machine) { m.Workflow = "universal-discover" }, held: "was not wiped", keeps: 2},
		"workflow set to universal-baseline": {during: func(m *api.Machine) { m.Workflow = "universal-baseline" }, held: "was not wiped", keeps: 2},
		"workflow set to universal-local":    {during: func(m *api.Machine) { m.Workflow = "universal-local" }, held: "no inventory", keeps: 2},
		"workflow and stage cleared":         {during: func(m *api.Machine) { m.Workflow, m.Stage = "", "none" }, held: "no inventory", keeps: 2},
		"workflow and tasks replaced":        {during: func(m *api.Machine) { m.Workflow, m.Tasks = "", []string{} }, held: "no inventory", keeps: 2},
		"moved to another pool in between":   {during: func(m *api.Machine) { m.Pool = "elsewhere" }},
		"said to be clean":                   {during: func(m *api.Machine) { m.Params["disk-plan/wipe"] = []any{} }},

		"a disk that cannot be written":  {disks: func(m *Machine) { m.Change(func(d []*Disk) { d[1].Broken = true }) }, held: "write error", keeps: 1},
		"a disk that lies":               {disks: func(m *Machine) { m.Change(func(d []*Disk) { d[1].Lies = true }) }, held: "byte at offset 0 is not zero", keeps: 1},
		"a disk is gone":                 {disks: func(m *Machine) { m.Change(func(d []*Disk) { m.Disks = d[:1] }) }, held: "disk /dev/sdb (serial DATA1) was there with data and is not any more"},
		"a disk is behind an expander":   {disks: func(m *Machine) { m.Change(func(d []*Disk) { d[1].Fact.Expander = true }) }, held: "is behind a SAS expander", keeps: 1},
		"a disk is behind Fibre Channel": {disks: func(m *Machine) { m.Change(func(d []*Disk) { d[1].Fact.Transport = "fc" }) }, held: "is behind Fibre Channel", keeps: 1},
		"a disk is behind iSCSI":         {disks: func(m *Machine) { m.Change(func(d []*Disk) { d[1].Fact.Transport = "iscsi" }) }, held: "is behind iSCSI", keeps: 1},
		"named, behind an expander":      {live: param1("disk-wipe/serials", []any{"DATA1"}), disks: func(m *Machine) { m.Change(func(d []*Disk) { d[1].Fact.Expander = true }) }},
		"all disks behind an expander":   {disks: func(m *Machine) { m.Change(func(d []*Disk) { d[0].Fact.Expander, d[1].Fact.Expander = true, true }) }, held: "there is no disk to wipe", keeps: 2},
		"two disks of one serial":        {disks: func(m *Machine) { m.Change(func(d []*Disk) { d[1].Fact.DiskID = d[0].Fact.DiskID }) }, held: "2 disks call themselves that", keeps: 1},
		"no disks are found":             {disks: func(m *Machine) { m.Change(func([]*Disk) { m.Disks = nil }) }, held: "there is no disk to wipe"},
		"a new disk": {disks: func(m *Machine) {
			m.Change(func(d []*Disk) { n := newDisk("NEW1", 1<<30); n.Fill("theirs"); m.Disks = append(d, n) })
		}},
		"a removable medium": {disks: func(m *Machine) {
			m.Change(func(d []*Disk) { n := newDisk("USB1", 1<<30); n.Fact.Removable = true; m.Disks = append(d, n) })
		}},
		"a medium of the BMC": {disks: func(m *Machine) {
			m.Change(func(d []*Disk) { n := newDisk("BMC1", 1<<30); n.Fact.Virtual = true; m.Disks = append(d, n) })
		}},
	}
	return out
}

// TestFreeIsProven sends one machine with two disks through a cluster and back,
// in all the ways that lead to Free or round it, and compares the disks' bytes.
func TestFreeIsProven(t *testing.T) {
	t.Parallel()
	packs, err := daemon.BuiltIn()
	require.NoError(t, err)
	for name, w := range ways() {
		t.Run(name, func(t *testing.T) { t.Parallel(); w.walk(t, packs) })
	}
}

func (w way) walk(t *testing.T, packs []*api.ContentPack) {
	s, ctx := w.site(t, packs), t.Context()
	update := func(fn func(s *Site, tx *resource.Tx) error) {
		if fn != nil {
			require.NoError(t, s.Core.DB.Update(ctx, func(tx *resource.Tx) error { return fn(s, tx) }))
		}
	}
	require.NoError(t, w.define(ctx, s))
	require.NoError(t, s.Await(ctx, "cluster live", Live("c")))
	assert.Len(t, s.Machines[0].Holds(), 2)
	update(w.live)
	if w.disks != nil {
		w.disks(s.Machines[0])
	}
	s.Machines[0].Hang(w.during != nil)
	require.NoError(t, s.SetWorkflow(ctx, "c", "universal-cluster-destroy"))
	if w.during != nil {
		require.NoError(t, s.Await(ctx, "on its way", func(*resource.View) bool { return s.machine("n1").PoolStatus == api.Destroying }))
		require.NoError(t, s.change(ctx, "n1", w.during))
		s.Machines[0].Hang(false)
		s.Machines[0].reset()
	}
	ends := func(*resource.View) bool {
		m := s.machine("n1")
		return m.Owner == "" && (m.PoolStatus == api.Free && m.WorkflowComplete || m.PoolStatus == api.HoldDestroy && m.Fence != nil && m.Fence.Off)
	}
	require.NoError(t, s.Await(ctx, "it is back", ends))
	m := s.machine("n1")
	if w.held == "" {
		assert.Equal(t, api.Free, m.PoolStatus, m.PoolHoldReason)
		assert.Empty(t, s.Machines[0].Holds(), "nothing is left on any disk")
		assert.Nil(t, m.Unwiped)
		return
	}
	assert.Equal(t, api.HoldDestroy, m.PoolStatus)
	assert.Contains(t, m.PoolHoldReason, w.held)
	assert.Len(t, s.Machines[0].Holds(), w.keeps)
	assert.False(t, s.Machines[0].On(), "what is held is off")
	require.NoError(t, s.Await(ctx, "cluster destroyed", Gone("c")))
	assertNobodyGets(t, s)
}

// reset is somebody pressing the reset button of a machine that hung.
func (m *Machine) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.on && m.boot == api.BMCBootPXE {
		m.env = "discovery"
	}
}

// move puts the machine into its pool.
func (w way) move(s *Site, tx *resource.Tx) error {
	if w.pool == "" {
		return nil
	}
	return pool.Move(tx, s.machine("n1").Uuid, w.pool, api.PoolActions{})
}

// define makes the cluster.
func (w way) define(ctx context.Context, s *Site) error {
	if err := s.Define(ctx, "c", 1, ""); err != nil {
		return err
	}
	return s.Core.DB.Update(ctx, func(tx *resource.Tx) error {
		return api.Clusters.Modify(tx, s.Cluster("c").Uuid, func(c *api.Machine) error {
			maps.Copy(c.Params, w.params)
			if w.pool != "" {
				c.Params["broker-pool/pool"] = w.pool
			}
			c.Workflow = "universal-cluster-provision"
			return nil
		})
	})
}

func (w way) site(t *testing.T, packs []*api.ContentPack) *Site {
	r := New(1)
	r.Packs = packs
	s, err := Start(t.Context(), r, mem.New(mem.Config{}))
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	require.NoError(t, s.Enroll(t.Context()))
	require.NoError(t, s.Await(t.Context(), "discovered", AllFree(1)))
	require.NoError(t, s.Core.DB.Update(t.Context(), func(tx *resource.Tx) error {
		if w.before != nil {
			if err := w.before(s, tx); err != nil {
				return err
			}
		}
		return w.move(s, tx)
	}))
	return s
}

// assertNobodyGets tries what takes, moves or frees a held machine.
func assertNobodyGets(t *testing.T, s *Site) {
	t.Helper()
	m := s.machine("n1")
	for name, try := range map[string]func(tx *resource.Tx) error{
		"taken": func(tx *resource.Tx) error { return pool.Take(tx, m.Uuid, pool.Claim{}) },
		"moved": func(tx *resource.Tx) error { return pool.Move(tx, m.Uuid, "attic", api.PoolActions{}) },
		"saved as Free": func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.PoolStatus = api.Free; return nil })
		},
		"said to be blank": func(tx *resource.Tx) error {
			if m.Unwiped == nil {
				return errDead // it never was ours: there is nothing to say
			}
			return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Unwiped = nil; return nil })
		},
		"said to be none": func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Virtual = true; return nil })
		},
		"all at once": func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.PoolStatus, m.Unwiped, m.Owner = api.Free, nil, ""; return nil })
		},
	} {
		assert.Error(t, s.Core.DB.Update(t.Context(), try), name)
	}
	for _, verb := range []pool.Verb{pool.Allocate, pool.Add, pool.Remove} {
		q := pool.Request{Verb: verb, Pool: m.Pool, Count: 1, Minimum: 1, Force: true}
		if verb == pool.Add {
			q.Pool, q.Source = "attic", m.Pool
		}
		assert.Error(t, s.Core.DB.Update(t.Context(), func(tx *resource.Tx) error { _, err := pool.Operate(tx, q, MatchTags); return err }), string(verb))
	}
}

// TestHeldIsRepaired: what was missing is done, and the machine is Free.
func TestHeldIsRepaired(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		way
		repair func(s *Site, tx *resource.Tx, id string) error
	}{
		"wiped again": {ways()["workflow cleared"], func(_ *Site, tx *resource.Tx, id string) error { return pool.Wipe(tx, id) }},
		"a dead disk is exempted": {ways()["a disk is gone"], func(_ *Site, tx *resource.Tx, id string) error {
			return blank.ExemptDisk(tx, id, "DATA1", "users/ann", "shredded")
		}},
		"a disk is named": {ways()["a disk is behind an expander"], func(s *Site, tx *resource.Tx, id string) error {
			if err := param1("disk-wipe/serials", []any{"DATA1"})(s, tx); err != nil {
				return err
			}
			return pool.Wipe(tx, id)
		}},
		"the pool wants no proof": {ways()["workflow cleared"], func(_ *Site, tx *resource.Tx, _ string) error {
			return api.Pools.Put(tx, &api.Pool{Id: "default", ReleaseProof: api.ReleaseNone})
		}},
		"the task is tried again": {ways()["a disk that lies"], func(s *Site, tx *resource.Tx, id string) error {
			s.Machines[0].Change(func(d []*Disk) { d[1].Lies = false })
			return pool.Wipe(tx, id)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := c.way
			packs, err := daemon.BuiltIn()
			require.NoError(t, err)
			s := w.site(t, packs)
			ctx := t.Context()
			require.NoError(t, w.define(ctx, s))
			require.NoError(t, s.Await(ctx, "cluster live", Live("c")))
			if w.disks != nil {
				w.disks(s.Machines[0])
			}
			s.Machines[0].Hang(w.during != nil)
			require.NoError(t, s.SetWorkflow(ctx, "c", "universal-cluster-destroy"))
			if w.during != nil {
				require.NoError(t, s.Await(ctx, "on its way", func(*resource.View) bool { return s.machine("n1").PoolStatus == api.Destroying }))
				require.NoError(t, s.change(ctx, "n1", w.during))
				s.Machines[0].Hang(false)
			}
			require.NoError(t, s.Await(ctx, "it is held", func(*resource.View) bool {
				m := s.machine("n1")
				return m.Fenced() && m.Fence != nil && m.Fence.Off && m.Owner == ""
			}))
			m := s.machine("n1")
			require.NoError(t, s.Core.DB.Update(ctx, func(tx *resource.Tx) error { return c.repair(s, tx, m.Uuid) }))
			require.NoError(t, s.Await(ctx, "it is free", AllFree(1)))
			if m := s.machine("n1"); m.Unwiped != nil {
				assert.NotEmpty(t, s.Machines[0].Holds())
				assert.Error(t, s.Core.DB.Update(ctx, func(tx *resource.Tx) error { return pool.Take(tx, m.Uuid, pool.Claim{}) }), "another owner")
				return
			}
			assert.Empty(t, s.Machines[0].Holds())
		})
	}
}

// TestStrangersDataStays: what was on a machine before us is overwritten only
// when somebody says so.
func TestStrangersDataStays(t *testing.T) {
	t.Parallel()
	for name, flow := range map[string]string{"discovered": "", "installed": "universal-linux-install", "rebuilt": "universal-rebuild", "decommissioned": "universal-decommission", "image": "universal-image-deploy"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := New(1)
			r.Machines[0].Disks[1].Fill("production")
			s, err := Start(t.Context(), r, mem.New(mem.Config{}))
			require.NoError(t, err)
			t.Cleanup(s.Stop)
			ctx := t.Context()
			require.NoError(t, s.Enroll(ctx))
			require.NoError(t, s.Await(ctx, "it is held", func(*resource.View) bool { m := s.machine("n1"); return m.Fenced() && m.Fence != nil && m.Fence.Off }))
			assert.Contains(t, s.machine("n1").PoolHoldReason, "disk /dev/sdb (serial DATA1): data of no known kind at 0; if that may go: drpcli machines approve-disks n1")
			assertNobodyGets(t, s)
			if flow == "" {
				require.NoError(t, s.Core.DB.Update(ctx, func(tx *resource.Tx) error { return blank.Approve(tx, s.machine("n1").Uuid, "users/ann") }))
				require.NoError(t, s.Await(ctx, "free", AllFree(1)))
			} else {
				require.NoError(t, s.change(ctx, "n1", func(m *api.Machine) {
					m.Workflow, m.Params["image-deploy/image"], m.Params["hostname"] = flow, "test-image", "n1"
				}))
				require.NoError(t, s.Await(ctx, "refused", func(*resource.View) bool {
					return strings.Contains(s.machine("n1").PoolHoldReason, "holds data that is nobody's") && s.machine("n1").PoolStatus == api.HoldDestroy
				}))
			}
			assert.Equal(t, []string{"DATA1"}, slices.Collect(maps.Keys(r.Machines[0].Holds())))
			assert.Zero(t, r.Machines[0].Installs+r.Machines[0].Wipes)
		})
	}
}

// TestFreeThroughCrashes kills the server at commits of a release that is proven
// and of some that are not; afterwards Free means blank all the same. DRPD_FREE=all
// covers all ways and every seventh commit.
func TestFreeThroughCrashes(t *testing.T) {
	t.Parallel()
	packs, err := daemon.BuiltIn()
	require.NoError(t, err)
	names, step := []string{"as it should be", "a pool without object", "workflow set to universal-discover"}, 60
	if os.Getenv("DRPD_FREE") == "all" {
		names, step = nil, 7
		for name := range ways() {
			names = append(names, name)
		}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := 30; ; at += step {
				if !ways()[name].crashAt(t, packs, at) || t.Failed() {
					break
				}
			}
		})
	}
}

// crashAt walks the way with a server that dies at a commit, and to its end with
// another; it says whether the first died.
func (w way) crashAt(t *testing.T, packs []*api.ContentPack, at int) bool {
	l := newLife(t, packs)
	l.rack = New(1)
	l.rack.Packs = packs
	walk := func(ctx context.Context, s *Site) error { return w.again(ctx, s) }
	k, err := l.walked(t.Context(), at, at%2 == 0, walk)
	if k.dead {
		_, err = l.walked(t.Context(), 0, false, walk)
	}
	require.NoError(t, err, fmt.Sprintf("commit %d", at))
	return k.dead
}

// again is the way as an operator repeats it after a crash.
func (w way) again(ctx context.Context, s *Site) error {
	if err := s.Enroll(ctx); err != nil {
		return err
	}
	once := func(name string, fn func(s *Site, tx *resource.Tx) error) error {
		return s.Core.DB.Update(ctx, func(tx *resource.Tx) error {
			if fn == nil || api.Profiles.Has(tx, name) {
				return nil
			}
			if err := fn(s, tx); err != nil {
				return err
			}
			return api.Profiles.Create(tx, &api.Profile{Name: name})
		})
	}
	if s.Cluster("c") == nil {
		if err := s.Await(ctx, "discovered", AllFree(1)); err != nil {
			return err
		}
		if err := once("done-before", w.before); err != nil {
			return err
		}
		if err := once("done-move", w.move); err != nil {
			return err
		}
		if err := w.define(ctx, s); err != nil {
			return err
		}
	}
	if s.Cluster("c").Workflow != "universal-cluster-destroy" {
		if err := s.Await(ctx, "cluster live", Live("c")); err != nil {
			return err
		}
		if err := once("done-live", w.live); err != nil {
			return err
		}
		if err := s.SetWorkflow(ctx, "c", "universal-cluster-destroy"); err != nil {
			return err
		}
	}
	if w.during != nil {
		on := func(*resource.View) bool { p := s.machine("n1").PoolStatus; return p != api.InUse && p != api.Building }
		if err := s.Await(ctx, "on its way", on); err != nil {
			return err
		}
		if err := once("done-during", func(s *Site, tx *resource.Tx) error {
			return api.Machines.Modify(tx, s.machine("n1").Uuid, func(m *api.Machine) error { w.during(m); return nil })
		}); err != nil {
			return err
		}
	}
	err := s.Await(ctx, "it is back", func(*resource.View) bool {
		m := s.machine("n1")
		return m.Owner == "" && (m.PoolStatus == api.Free && m.WorkflowComplete || m.Fenced() && m.Fence != nil && m.Fence.Off)
	})
	if held := s.Machines[0].Holds(); err == nil && s.machine("n1").PoolStatus == api.Free && len(held) > 0 {
		return fmt.Errorf("n1 is Free and holds %v", held)
	}
	return err
}
