package inproc

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/cluster"
	"drpd/pkg/daemon"
	"drpd/pkg/pool"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

// wipers are what can make a disk be wiped: the functions of the server that
// begin a release, order or plan a wipe, and the content that has it done; and
// by which ways of begins each is walked. A new one turns TestWhoWipes red until
// it stands here.
var wipers = map[string][]string{
	"pool.release: decommission":         {"released from its pool", "destroyed", "wiped by hand"},
	"pool.Wipe: decommission":            {"wiped by hand"},
	"pool.Wipe: release":                 {"wiped by hand"},
	"pool.GiveBack: release":             {"destroyed", "given back by the broker"},
	"pool.apply: release":                {"released from its pool"},
	"pool.release: begin Destroying":     {"released from its pool", "destroyed"},
	"broker.release: pool.GiveBack":      {"destroyed", "given back by the broker"},
	"daemon.wipeMachine: pool.Wipe":      {"wiped by hand"},
	"daemon.releaseToPool: pool.Release": {"released from its pool"},
	"daemon.operate: pool.Operate":       {"released from its pool", "removed from its pool"},
	"daemon.poolRoutes: pool.Release":    {"released from its pool"},
	"pool.fill: Operate":                 {"removed from its pool"},
	"pool.drain: Operate":                {"removed from its pool"},
	"daemon.seed: decommission":          {"released from its pool", "destroyed"},
	"diskplan.planWipe: plan":            {"a workflow", "a stage", "tasks", "an order"},
	"diskplan.Natives: plan":             {"a workflow", "a stage", "tasks", "an order"},

	"tasks/disk-wipe.yaml":                  {"tasks", "an order", "a workflow"},
	"stages/decommission.yaml":              {"a stage", "a workflow"},
	"workflows/universal-decommission.yaml": {"a workflow", "released from its pool"},
	"workflows/universal-rebuild.yaml":      {"a workflow that installs again"},
}

// wiping finds in a function what begins a wipe.
func wiping(pkg string, fn *ast.FuncDecl, tell func(what string)) {
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			switch strings.Trim(n.Value, "\"`") {
			case "universal-decommission":
				tell("decommission")
			case "disk-wipe", "action:disk/plan-wipe", "disk-plan/wipe":
				tell("plan")
			}
		case *ast.SelectorExpr:
			switch x, _ := n.X.(*ast.Ident); {
			case x == nil:
			case x.Name == "blank" && n.Sel.Name == "Decommission":
				tell("decommission")
			case x.Name == "pool" && slices.Contains([]string{"Wipe", "GiveBack", "Operate", "Release"}, n.Sel.Name):
				tell("pool." + n.Sel.Name)
			}
		case *ast.KeyValueExpr:
			if v, ok := n.Value.(*ast.Ident); ok && v.Name == "planWipe" {
				tell("plan")
			}
		case *ast.CallExpr:
			called, _ := n.Fun.(*ast.Ident)
			for _, a := range n.Args {
				if s, ok := a.(*ast.SelectorExpr); ok && s.Sel.Name == "Destroying" && called != nil {
					tell(called.Name + " Destroying")
				}
				if id, ok := a.(*ast.Ident); ok && id.Name == "ParamWipe" {
					tell("plan")
				}
			}
			if pkg == "pool" && called != nil && slices.Contains([]string{"release", "Wipe", "GiveBack", "Operate"}, called.Name) {
				tell(called.Name)
			}
		}
		return true
	})
}

// TestWhoWipes finds in the code and in the content whatever can make a disk be
// wiped.
func TestWhoWipes(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	skip := []string{"sim", "agent", "cli", "openapi", "testdata"}
	require.NoError(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(skip, d.Name()):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
				wiping(f.Name.Name, fn, func(what string) { found[f.Name.Name+"."+fn.Name.Name+": "+what] = true })
			}
		}
		return nil
	}))
	for _, kind := range []string{"tasks", "stages", "workflows", "blueprints"} {
		list, err := filepath.Glob("../../../content/*/" + kind + "/*.yaml")
		require.NoError(t, err)
		require.NotEmpty(t, list, kind)
		for _, path := range list {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			for line := range strings.Lines(string(text)) {
				switch strings.TrimSpace(line) {
				case "op: wipe", "- disk-wipe", "- action:disk/plan-wipe", "- decommission":
					found[kind+"/"+filepath.Base(path)] = true
				}
			}
		}
	}
	for what := range found {
		if wipers[what] == nil {
			t.Errorf("%s: who wipes? say here by which way it is tried", what)
		}
	}
	for what, by := range wipers {
		assert.True(t, found[what], "%s: no such place any more", what)
		for _, b := range by {
			assert.Contains(t, begins(), b, what)
		}
	}
}

// startState is a state that a machine is in when a wipe begins, and what may become
// of its bytes.
type startState struct {
	disks func(m *Machine) // before it is known
	reach func(s *siege)
	stays bool // nothing may be wiped, by nobody
	owned bool // only what its owner or who may change the machine itself begins
	hangs bool // its boot does not come until the wipe is begun
}

func starts() map[string]startState {
	live := func(s *siege) {
		require.NoError(s, s.Define(s.Context(), "demo", 1, "universal-cluster-provision"))
		require.NoError(s, s.Await(s.Context(), "cluster live", Live("demo")))
	}
	becomes := func(s *siege, want api.PoolStatus) {
		require.NoError(s, s.Await(s.Context(), string(want), status("n1", want)))
	}
	taken := func(s *siege) {
		require.NoError(s, s.update(func(tx *resource.Tx) error {
			_, err := pool.Operate(tx, pool.Request{Verb: pool.Allocate, Pool: "default", Count: 1, Minimum: 1}, pool.Match(MatchTags))
			return err
		}))
		becomes(s, api.InUse)
		s.Machines[0].Change(func(d []*Disk) { d[1].Fill("a person's") })
	}
	return map[string]startState{
		"Free and blank":       {reach: func(*siege) {}},
		"with strangers' data": {disks: func(m *Machine) { m.Change(func(d []*Disk) { d[1].Fill("production") }) }, reach: func(s *siege) { becomes(s, api.HoldDestroy) }, stays: true},
		"in use by a cluster":  {reach: live, owned: true},
		"of a protected cluster": {reach: func(s *siege) {
			live(s)
			require.NoError(s, s.update(func(tx *resource.Tx) error { return cluster.Protect(tx, s.Cluster("demo").Uuid, true, "somebody") }))
		}, stays: true},
		"in use by a person": {reach: taken},
		"being built": {reach: func(s *siege) {
			require.NoError(s, s.Define(s.Context(), "demo", 1, "universal-cluster-provision"))
			becomes(s, api.Building)
		}, owned: true, hangs: true},
		"not to be built": {reach: func(s *siege) {
			s.Machines[0].FailOnce("image-deploy", "disk is gone")
			require.NoError(s, s.Define(s.Context(), "demo", 1, "universal-cluster-provision"))
			becomes(s, api.HoldBuild)
		}, owned: true},
		"held": {reach: func(s *siege) {
			live(s)
			s.Machines[0].Change(func(d []*Disk) { d[1].Broken = true })
			require.NoError(s, s.SetWorkflow(s.Context(), "demo", "universal-cluster-destroy"))
			becomes(s, api.HoldDestroy)
			s.Machines[0].Change(func(d []*Disk) { d[1].Broken = false })
		}},
		"on its way back": {reach: func(s *siege) {
			live(s)
			s.Machines[0].Hang(true)
			require.NoError(s, s.SetWorkflow(s.Context(), "demo", "universal-cluster-destroy"))
			becomes(s, api.Destroying)
		}, hangs: true},
		"Free and not wiped": {reach: func(s *siege) {
			require.NoError(s, s.update(func(tx *resource.Tx) error {
				return api.Pools.Put(tx, &api.Pool{Id: "default", ReleaseProof: api.ReleaseNone})
			}))
			taken(s)
			require.NoError(s, s.update(func(tx *resource.Tx) error {
				_, err := pool.Operate(tx, pool.Request{Verb: pool.Release, Pool: "default", All: true}, pool.Match(MatchTags))
				return err
			}))
			becomes(s, api.Free)
		}},
	}
}

// byOwner are the ways that a member's owner, or who may change the machine
// itself, has; the others are refused for what a cluster has.
var byOwner = []string{"destroyed", "given back by the broker", "a workflow", "a workflow that installs again", "a stage", "tasks", "an order"}

// begins are the ways in which a wipe is begun. What is refused is refused.
func begins() map[string]func(s *siege) {
	wipe := []string{"inventory", "action:disk/plan-wipe", "disk-wipe", "disk-verify-blank"}
	free := func(s *siege) { _ = s.editMember(1, func(m *api.Machine) { m.WorkOrderMode = false }) }
	operate := func(verb pool.Verb, to, from string) func(s *siege) {
		return func(s *siege) {
			_ = s.update(func(tx *resource.Tx) error {
				_, err := pool.Operate(tx, pool.Request{Verb: verb, Pool: to, Source: from, All: true, Force: true}, pool.Match(MatchTags))
				return err
			})
		}
	}
	return map[string]func(s *siege){
		"wiped by hand":          func(s *siege) { _ = s.update(func(tx *resource.Tx) error { return pool.Wipe(tx, s.member(1).Uuid) }) },
		"released from its pool": operate(pool.Release, "default", ""),
		"removed from its pool": func(s *siege) {
			_ = s.update(func(tx *resource.Tx) error {
				return api.Pools.Put(tx, &api.Pool{Id: "default", ExitActions: &api.PoolActions{Workflow: "universal-decommission"}})
			})
			operate(pool.Add, "attic", "default")(s)
		},
		"destroyed": func(s *siege) { _ = s.SetWorkflow(s.Context(), "demo", "universal-cluster-destroy") },
		"given back by the broker": func(s *siege) {
			if c := s.Cluster("demo"); c != nil {
				_ = s.update(func(tx *resource.Tx) error {
					return api.WorkOrders.Create(tx, &api.WorkOrder{Blueprint: "broker-release", Machine: s.broker(),
						Params: resource.Params{"broker/cluster": c.Uuid, "broker/members": map[string]any{}}})
				})
			}
		},
		"a workflow": func(s *siege) {
			free(s)
			_ = s.editMember(1, func(m *api.Machine) { m.Workflow = "universal-decommission" })
		},
		"a workflow that installs again": func(s *siege) {
			free(s)
			_ = s.editMember(1, func(m *api.Machine) {
				m.Workflow, m.Params["image-deploy/image"], m.Params["hostname"] = "universal-rebuild", "test-image", "n1"
			})
		},
		"a stage": func(s *siege) {
			free(s)
			_ = s.editMember(1, func(m *api.Machine) { m.Workflow, m.Stage, m.Runnable = "", "decommission", true })
		},
		"tasks": func(s *siege) {
			free(s)
			_ = s.editMember(1, func(m *api.Machine) { m.Workflow, m.BootEnv = "", "discovery" })
			_ = s.editMember(1, func(m *api.Machine) { m.Tasks, m.Runnable = wipe, true })
		},
		"an order": func(s *siege) {
			_ = s.update(func(tx *resource.Tx) error {
				if err := api.Blueprints.Put(tx, &api.Blueprint{Name: "wipe", Tasks: wipe}); err != nil {
					return err
				}
				m := s.member(1)
				if err := api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.WorkOrderMode = true; return nil }); err != nil {
					return err
				}
				return api.WorkOrders.Create(tx, &api.WorkOrder{Blueprint: "wipe", Machine: m.Uuid})
			})
		},
	}
}

// cell is one state and one way.
type cell struct {
	startState
	state, by string
	packs     []*api.ContentPack
}

// TestWipesFromEveryState begins a wipe in every way from every state, without a
// crash and with the server killed at commits after that. What is Free is blank,
// and what may not die does not. DRPD_FREE=all covers every third commit, another third
// in every other cell.
func TestWipesFromEveryState(t *testing.T) {
	t.Parallel()
	packs, err := daemon.BuiltIn()
	require.NoError(t, err)
	every := 0
	if os.Getenv("DRPD_FREE") == "all" {
		every = 3
	}
	var mu sync.Mutex // guards wiped and ran
	wiped, ran := map[string]int{}, 0
	t.Run("all", func(t *testing.T) {
		n := 0
		for _, state := range slices.Sorted(maps.Keys(starts())) {
			for _, by := range slices.Sorted(maps.Keys(begins())) {
				c := cell{starts()[state], state, by, packs}
				first := 1 + n%17 // another commit for each cell
				n++
				t.Run(state+", "+by, func(t *testing.T) {
					t.Parallel()
					_, wipes := c.run(t, 0)
					mu.Lock()
					if ran++; wipes {
						wiped[by]++
					}
					mu.Unlock()
					if every == 0 {
						c.run(t, first)
						return
					}
					for at := 1 + first%every; !t.Failed(); at += every {
						t.Log("commit", at)
						if dead, _ := c.run(t, at); !dead {
							break
						}
					}
				})
			}
		}
	})
	for by := range begins() {
		if ran < len(starts())*len(begins()) {
			break // only some were asked for
		}
		assert.NotZero(t, wiped[by], "%s never wipes: then it proves nothing", by)
	}
}

// run brings a machine to the state, begins the wipe, and kills the server at a
// commit after that (0: never); another goes on, and the wipe is asked for again.
func (c cell) run(t *testing.T, at int) (dead, wiped bool) {
	synctest.Test(t, func(t *testing.T) {
		rack, db, kept := New(1), mem.New(mem.Config{}), life{}
		rack.Poll, rack.Packs = time.Second, c.packs
		if c.disks != nil {
			c.disks(rack.Machines[0])
		}
		k := &killer{Store: db, died: func() {}, kept: &kept.kept}
		site, err := Start(t.Context(), rack, k)
		require.NoError(t, err)
		s := &siege{T: t, Site: site}
		defer func() { s.Stop() }()
		require.NoError(t, s.Enroll(t.Context()))
		if c.disks == nil {
			require.NoError(t, s.Await(t.Context(), "discovered", AllFree(1)))
		}
		rack.Machines[0].Hang(c.hangs && c.state == "being built")
		c.reach(s)
		before, wipes := rack.Machines[0].Holds(), rack.Machines[0].Wipes
		if at > 0 {
			k.mu.Lock()
			k.at = k.count + at
			k.mu.Unlock()
		}
		begin := begins()[c.by]
		begin(s)
		rack.Machines[0].Hang(false)
		time.Sleep(15 * time.Minute)
		if k.dead {
			dead = true
			s.Stop()
			if site, err = Start(t.Context(), rack, db); !assert.NoError(t, err) {
				return
			}
			s = &siege{T: t, Site: site}
			begin(s)
			time.Sleep(15 * time.Minute)
		}
		c.check(s, before, fmt.Sprintf("killed at commit %d", at))
		wiped = rack.Machines[0].Wipes > wipes
	})
	return dead, wiped
}

// check compares the bytes of the disks with what the server says of them.
func (c cell) check(s *siege, before map[string]string, when string) {
	holds := s.Machines[0].Holds()
	if c.stays || c.owned && !slices.Contains(byOwner, c.by) && c.state == "in use by a cluster" {
		assert.Equal(s, before, holds, "%s: its bytes are as they were", when)
	}
	m := s.member(1)
	if m == nil || m.PoolStatus != api.Free {
		return
	}
	if m.Unwiped == nil {
		assert.Empty(s, holds, "%s: it is Free and said to be blank", when)
	}
	if len(holds) > 0 {
		assert.Error(s, s.update(func(tx *resource.Tx) error { return pool.Take(tx, m.Uuid, pool.Claim{Owner: s.broker()}) }), "%s: another gets it", when)
	}
}
