package inproc

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/daemon"
	"drpd/pkg/engine"
	"drpd/pkg/param"
	"drpd/pkg/resource"
	"drpd/pkg/seal"
	"drpd/pkg/store"
	"drpd/pkg/store/mem"
)

// stepAll runs every rule once on every object, with no engine around, and
// lists what changed anything.
func stepAll(t *testing.T, core *daemon.Core, now time.Time) (changed []string) {
	t.Helper()
	for _, r := range core.Engine.Rules() {
		for o := range r.Kind.Each(core.DB.View()) {
			before := core.DB.View().Rev()
			require.NoError(t, core.DB.Update(t.Context(), func(tx *resource.Tx) error {
				_, err := r.Step(tx, now, o.Key)
				return err
			}), "%s on %s", r.Name, o.Key)
			if core.DB.View().Rev() != before {
				changed = append(changed, fmt.Sprintf("%s on %s/%s", r.Name, o.Kind, o.Key))
			}
		}
	}
	return changed
}

// stopped opens the stored state with nothing running.
func stopped(t *testing.T, s store.Store, now func() time.Time) *daemon.Core {
	t.Helper()
	core, err := daemon.NewCore(t.Context(), daemon.CoreConfig{Store: s, Vault: param.NewVault(seal.NewMaster(seal.Key{1})), Match: MatchTags, Now: now})
	require.NoError(t, err)
	return core
}

// TestNoRuleMovesWhatIsSettled stops the server at the rests of the path,
// where nothing is left to do, and runs every rule on everything.
func TestNoRuleMovesWhatIsSettled(t *testing.T) {
	t.Parallel()
	rests := map[string]func(*testing.T, *Site){
		"discovered": func(*testing.T, *Site) {},
		"live": func(t *testing.T, s *Site) {
			require.NoError(t, s.Define(t.Context(), "demo", 3, "universal-cluster-provision"))
			require.NoError(t, s.serve(t.Context()))
		},
		"destroyed": func(t *testing.T, s *Site) { require.NoError(t, s.walk(t.Context())) },
		"short of machines": func(t *testing.T, s *Site) {
			require.NoError(t, s.Define(t.Context(), "demo", 4, "universal-cluster-provision"))
			require.NoError(t, s.Await(t.Context(), "a shortage", func(v *resource.View) bool {
				w := engine.Waits.One(v, engine.ByObject, "clusters/"+s.Cluster("demo").Uuid)
				return w != nil && w.Waiting == "action:cluster/gather: broker pool-broker: cluster demo needs 4 machines of pool default at once, 3 can be taken"
			}))
		},
		"failed": func(t *testing.T, s *Site) {
			s.Machines[0].FailOnce("image-deploy", "disk is gone")
			require.NoError(t, s.Define(t.Context(), "demo", 3, "universal-cluster-provision"))
			require.NoError(t, s.Await(t.Context(), "two ready, one held", func(v *resource.View) bool {
				ready := 0
				for m := range api.Machines.All(v) {
					if m.PoolStatus == api.InUse {
						ready++
					}
				}
				return ready == 2 && api.Machines.One(v, api.ByName, "n1").PoolStatus == api.HoldBuild
			}))
		},
	}
	for name, reach := range rests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := mem.New(mem.Config{})
			site, err := Start(t.Context(), New(3), s)
			require.NoError(t, err)
			require.NoError(t, site.Enroll(t.Context()))
			require.NoError(t, site.Await(t.Context(), "all machines discovered", AllFree(3)))
			reach(t, site)
			site.Stop()
			core, now := stopped(t, s, nil), time.Now()
			// What was on its way when the server stopped may still arrive.
			for i := 0; len(stepAll(t, core, now)) > 0; i++ {
				require.Less(t, i, 20, "rules move in circles")
			}
			rev := core.DB.View().Rev()
			assert.Empty(t, stepAll(t, core, now))
			assert.Equal(t, rev, core.DB.View().Rev())
		})
	}
}

// TestRulesComeToRestFromAnyCommit kills the server at commits of the path and
// lets the rules alone run on what is left: after a few rounds each of them
// does nothing, since no step may count on having run only once.
func TestRulesComeToRestFromAnyCommit(t *testing.T) {
	t.Parallel()
	for at := 3; at < 180; at += 12 {
		s := mem.New(mem.Config{})
		l := &life{rack: New(3)}
		k, _ := l.serveOn(t.Context(), s, at, false) // it dies: the error says only that
		if !k.dead {
			break
		}
		core, now := stopped(t, s, nil), time.Now()
		for i := 0; ; i++ {
			changed := stepAll(t, core, now)
			if len(changed) == 0 {
				break
			}
			require.Less(t, i, 20, "commit %d: %v", at, changed)
		}
	}
}
