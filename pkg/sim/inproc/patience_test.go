package inproc

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/cluster"
	"drpd/pkg/engine"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

// inFakeTime runs a test on a rack of n discovered machines whose clock jumps
// as soon as everybody waits.
func inFakeTime(t *testing.T, n int, test func(t *testing.T, s *Site)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := New(n)
		r.Poll = 200 * time.Millisecond
		s, err := Start(t.Context(), r, mem.New(mem.Config{}))
		require.NoError(t, err)
		defer s.Stop()
		require.NoError(t, s.Enroll(t.Context()))
		require.NoError(t, s.Await(t.Context(), "all machines discovered", AllFree(n)))
		test(t, s)
	})
}

func status(name string, want api.PoolStatus) func(*resource.View) bool {
	return func(v *resource.View) bool { return api.Machines.One(v, api.ByName, name).PoolStatus == want }
}

// reasons lists what one machine waits for, by rule.
func (s *Site) reasons(name string) map[string]string {
	v := s.Core.DB.View()
	out := map[string]string{}
	for w := range engine.Waits.By(v, engine.ByObject, "machines/"+api.Machines.One(v, api.ByName, name).Uuid) {
		out[w.Rule] = w.Waiting
	}
	return out
}

// admit is an operator's word for who comes next.
func (s *Site) admit(t *testing.T, name string) {
	t.Helper()
	id := api.Machines.One(s.Core.DB.View(), api.ByName, name).Uuid
	require.NoError(t, s.Core.DB.Update(t.Context(), func(tx *resource.Tx) error { return proof.Admit(tx, id, tx.Now().Add(time.Hour)) }))
}

// never says that something does not come true in ten minutes.
func (s *Site) never(t *testing.T, what string, cond func(*resource.View) bool) {
	t.Helper()
	time.Sleep(10 * time.Minute)
	assert.False(t, cond(s.Core.DB.View()), what)
}

func TestBMCIsGivenUpWithItsCause(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		breakIt func(m *Machine, broken bool)
		cause   string
	}{
		"silent": {func(m *Machine, broken bool) { m.BMCFails = map[bool]int{true: 1 << 30}[broken] }, "BMC of n1 does not answer"},
		"lies":   {func(m *Machine, broken bool) { m.BMCLies = broken }, "BMC of n1 accepted forcebootpxe but power stays as it was"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, 1, func(t *testing.T, s *Site) {
				m, set := s.Machines[0], func(broken bool) {
					s.Machines[0].mu.Lock()
					defer s.Machines[0].mu.Unlock()
					c.breakIt(s.Machines[0], broken)
				}
				set(true)
				begun := time.Now()
				require.NoError(t, s.Define(t.Context(), "demo", 1, "universal-cluster-provision"))
				time.Sleep(12 * time.Second) // tries at 0, 1, 3 and 7 s
				assert.Equal(t, "BMC forcebootpxe, try 4; last error: "+c.cause, s.reasons("n1")["bmc boot"])
				require.NoError(t, s.Await(t.Context(), "n1 held", status("n1", api.HoldBuild)))
				assert.InDelta(t, 10, time.Since(begun).Minutes(), 1.1, "the time budget")
				why := "BMC: given up after 15 tries in 9m3s: " + c.cause
				synctest.Wait()
				assert.Equal(t, "held: "+why+"; repair, then drpcli machines boot n1", s.reasons("n1")["bmc boot"])
				assert.Equal(t, "held in HoldBuild: "+why, s.reasons("n1")["pool transition"])

				set(false)
				require.NoError(t, m.press(api.BMCBootPXE, nil), "a person boots it by hand")
				s.never(t, "an agent's word is none", Live("demo"))
				s.admit(t, "n1")
				require.NoError(t, s.Await(t.Context(), "cluster live", Live("demo")))
			})
		})
	}
}

func TestBMCThatFailsIsRetried(t *testing.T) {
	inFakeTime(t, 1, func(t *testing.T, s *Site) {
		s.Machines[0].mu.Lock()
		s.Machines[0].BMCFails = 3
		s.Machines[0].mu.Unlock()
		require.NoError(t, s.Define(t.Context(), "demo", 1, "universal-cluster-provision"))
		require.NoError(t, s.Await(t.Context(), "cluster live", Live("demo")))
		tries := map[int]string{}
		for a := range api.BMCActions.All(s.Core.DB.View()) {
			assert.Equal(t, "done", a.State)
			tries[a.Tries] = a.Error
		}
		assert.Equal(t, map[int]string{1: "", 4: "BMC of n1 does not answer"}, tries, "the error is kept after success")
	})
}

func TestMachineThatNeverCallsHomeIsHeld(t *testing.T) {
	inFakeTime(t, 1, func(t *testing.T, s *Site) {
		s.Machines[0].Hang(true)
		begun := time.Now()
		require.NoError(t, s.Define(t.Context(), "demo", 1, "universal-cluster-provision"))
		time.Sleep(11 * time.Minute) // the third boot is under way
		assert.Equal(t, "boots into discovery, boot 3; last step seen: none (not even DHCP)", s.reasons("n1")["bmc boot"])
		seen := time.Now()
		require.NoError(t, s.Core.DB.Update(t.Context(), func(tx *resource.Tx) error {
			return api.BootRecords.Put(tx, &api.BootRecord{Mac: s.Machines[0].MAC, Steps: []api.BootStep{
				{Step: "dhcp", Time: seen.Add(-time.Second)}, {Step: "tftp", Time: seen, Detail: "ipxe.efi"}}})
		}))
		require.NoError(t, s.Await(t.Context(), "n1 held", status("n1", api.HoldBuild)))
		assert.InDelta(t, 12.5, time.Since(begun).Minutes(), 0.1, "11 minutes, then SilenceLimit after the last step")
		synctest.Wait()
		why := "3 boots into discovery led nowhere; last step seen: tftp at " + seen.UTC().Format(time.TimeOnly) + " ipxe.efi"
		assert.Equal(t, "held in HoldBuild: "+why, s.reasons("n1")["pool transition"])
	})
}

// TestDestroyDoesNotWaitForADeadMember ends a member's agent before or while
// it leaves: after LeaveLimit the cluster goes on without it.
func TestDestroyDoesNotWaitForADeadMember(t *testing.T) {
	t.Parallel()
	for name, task := range map[string]string{"dead before": "", "dies in the task": "etcd-leave"} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, 3, func(t *testing.T, s *Site) {
				require.NoError(t, s.Define(t.Context(), "demo", 3, "universal-cluster-provision"))
				require.NoError(t, s.Await(t.Context(), "cluster live", Live("demo")))
				s.Machines[1].DieIn(task)
				begun := time.Now()
				require.NoError(t, s.SetWorkflow(t.Context(), "demo", "universal-cluster-destroy"))
				require.NoError(t, s.Await(t.Context(), "cluster destroyed", Gone("demo")))
				require.NoError(t, s.Await(t.Context(), "machines free", AllFree(3)))
				assert.InDelta(t, 2, time.Since(begun).Minutes(), 0.5, "LeaveLimit, once")
				assert.Equal(t, 1, s.Machines[1].Wipes)
				assert.Equal(t, map[string]int{"finished": 2, "cancelled": 1}, leaves(s.Core.DB.View()))
				for j := range api.Jobs.All(s.Core.DB.View()) {
					assert.True(t, j.Ended(), "%s of %s is %s", j.Task, j.Machine, j.State)
				}
			})
		})
	}
}

func leaves(v *resource.View) map[string]int {
	out := map[string]int{}
	for o := range api.WorkOrders.By(v, "Blueprint", "etcd-leave") {
		out[string(o.State)]++
	}
	return out
}

func TestMissingBlueprintFailsTheOrder(t *testing.T) {
	inFakeTime(t, 1, func(t *testing.T, s *Site) {
		require.NoError(t, s.Define(t.Context(), "demo", 1, "universal-cluster-provision"))
		require.NoError(t, s.Await(t.Context(), "cluster live", Live("demo")))
		member := api.Machines.One(s.Core.DB.View(), api.ByName, "n1").Uuid
		for _, on := range []string{s.Cluster("demo").Uuid, member} {
			o := &api.WorkOrder{Blueprint: "nope", Machine: on}
			require.NoError(t, s.Core.DB.Update(t.Context(), func(tx *resource.Tx) error { return api.WorkOrders.Create(tx, o) }))
			require.NoError(t, s.Await(t.Context(), "the order ended", func(v *resource.View) bool {
				now, err := api.WorkOrders.Get(v, o.Uuid)
				return err == nil && now.State == api.OrderFailed && now.Status == `blueprint "nope" does not exist`
			}))
		}
	})
}

func TestProtectedClusterRefusesDestroy(t *testing.T) {
	inFakeTime(t, 1, func(t *testing.T, s *Site) {
		require.NoError(t, s.Define(t.Context(), "demo", 1, "universal-cluster-provision"))
		require.NoError(t, s.Await(t.Context(), "cluster live", Live("demo")))
		protect := func(on bool) {
			require.NoError(t, s.Core.DB.Update(t.Context(), func(tx *resource.Tx) error {
				return cluster.Protect(tx, s.Cluster("demo").Uuid, on, "somebody")
			}))
		}
		protect(true)
		err := s.SetWorkflow(t.Context(), "demo", "universal-cluster-destroy")
		assert.ErrorContains(t, err, "cluster demo is protected: nothing was done")
		assert.Equal(t, resource.Refused, resource.CodeOf(err))
		assert.True(t, s.Cluster("demo").WorkOrderMode)
		protect(false)
		require.NoError(t, s.SetWorkflow(t.Context(), "demo", "universal-cluster-destroy"))
		require.NoError(t, s.Await(t.Context(), "cluster destroyed", Gone("demo")))
	})
}

// TestDestroyLeavesAMachineBehindThatItCannotWipe breaks a BMC before the wipe:
// the cluster ends, and the machine stays out of the pool with its cause.
func TestDestroyLeavesAMachineBehindThatItCannotWipe(t *testing.T) {
	inFakeTime(t, 3, func(t *testing.T, s *Site) {
		require.NoError(t, s.Define(t.Context(), "demo", 3, "universal-cluster-provision"))
		require.NoError(t, s.Await(t.Context(), "cluster live", Live("demo")))
		s.Machines[1].mu.Lock()
		s.Machines[1].BMCLies = true
		s.Machines[1].mu.Unlock()
		require.NoError(t, s.SetWorkflow(t.Context(), "demo", "universal-cluster-destroy"))
		require.NoError(t, s.Await(t.Context(), "the others free", AllFree(2)))
		assert.False(t, Gone("demo")(s.Core.DB.View()), "it waits for all")
		require.NoError(t, s.Await(t.Context(), "cluster destroyed", Gone("demo")))
		m := api.Machines.One(s.Core.DB.View(), api.ByName, "n2")
		assert.Equal(t, api.HoldDestroy, m.PoolStatus)
		assert.Empty(t, m.Owner)
		assert.Equal(t, "BMC: given up after 15 tries in 9m3s: BMC of n2 accepted forcebootpxe but power stays as it was", m.PoolHoldReason)
		assert.Zero(t, s.Machines[1].Wipes)

		s.Machines[1].mu.Lock()
		s.Machines[1].BMCLies = false
		s.Machines[1].mu.Unlock()
		require.NoError(t, s.Machines[1].press(api.BMCBootPXE, nil), "a person boots it by hand")
		s.never(t, "an agent's word is none", AllFree(3))
		require.NoError(t, s.Machines[1].press(api.BMCBootPXE, nil), "its fence has switched it off")
		s.admit(t, "n2")
		require.NoError(t, s.Await(t.Context(), "all free", AllFree(3)))
		assert.Equal(t, 1, s.Machines[1].Wipes)
	})
}
