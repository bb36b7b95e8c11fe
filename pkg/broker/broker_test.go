package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/pool"
	"drpd/pkg/resource"
	"drpd/pkg/store"
	"drpd/pkg/store/mem"
)

// site is a pool of machines, a broker and some clusters, with no engine.
type site struct {
	db       *resource.DB
	natives  map[string]engine.Native
	broker   string
	clusters []string
	sizes    map[string]int // cluster -> machines asked for last
}

func newSite(t *testing.T, machines, clusters int, faults store.Faults) *site {
	t.Helper()
	s := store.NewFaulty(mem.New(mem.Config{}), store.Faults{})
	db, err := resource.Open(t.Context(), resource.Config{Store: s, Kinds: api.Kinds()})
	require.NoError(t, err)
	out := &site{db: db, natives: Natives(nil), sizes: map[string]int{}}
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error { return out.fill(tx, machines, clusters) }))
	s.Set(faults)
	return out
}

func (s *site) fill(tx *resource.Tx, machines, clusters int) error {
	b := &api.Machine{Name: "b"}
	errs := []error{
		api.Workflows.Create(tx, &api.Workflow{Name: "work"}),
		api.Pools.Create(tx, &api.Pool{Id: "default", ReleaseActions: &api.PoolActions{Workflow: "work"}}),
		api.Brokers.Create(tx, b),
		api.Blueprints.Create(tx, &api.Blueprint{Name: "ask"}),
	}
	s.broker = b.Uuid
	for i := range machines {
		errs = append(errs, api.Machines.Create(tx, &api.Machine{Name: fmt.Sprintf("n%02d", i), WorkflowComplete: true}))
	}
	for i := range clusters {
		name := fmt.Sprintf("c%d", i)
		c := &api.Machine{Name: name}
		errs = append(errs, api.Profiles.Create(tx, &api.Profile{Name: name}), api.Clusters.Create(tx, c))
		s.clusters = append(s.clusters, c.Uuid)
	}
	return errors.Join(errs...)
}

// ask makes a request for n members and returns its job.
func (s *site) ask(tx *resource.Tx, cluster string, n int) (string, error) {
	members := map[string]any{}
	for i := range n {
		members[fmt.Sprintf("%s-%d", cluster[:4], i)] = []any{"tag"}
	}
	o := &api.WorkOrder{Blueprint: "ask", Machine: s.broker, Params: resource.Params{ParamCluster: cluster, ParamMembers: members, ParamWorkflow: "work"}}
	if err := api.WorkOrders.Create(tx, o); err != nil {
		return "", err
	}
	j := &api.Job{WorkOrder: o.Uuid, State: api.JobRunning}
	err := api.Jobs.Create(tx, j)
	return j.Uuid, err
}

// step runs one step of a new request.
func (s *site) step(ctx context.Context, native, cluster string, n int) (res engine.Result, err error) {
	err = s.update(ctx, func(tx *resource.Tx) error {
		if n > 0 {
			s.sizes[cluster] = n // updates run one after another
		}
		job, err := s.ask(tx, cluster, n)
		if err != nil {
			return err
		}
		res, err = s.natives[native](tx, tx.Now(), job)
		return err
	})
	return res, err
}

// churn asks for random numbers of machines and gives them back.
func (s *site) churn(ctx context.Context, t *testing.T, cluster string, rnd *rand.Rand) (got, missed int) {
	for got < 5 && missed < 5000 {
		n := 1 + rnd.IntN(5)
		res, err := s.step(ctx, "broker/allocate", cluster, n)
		assert.NoError(t, err)
		if missed++; res.Done {
			got, missed = got+1, missed-1
			assert.Equal(t, n, holding(s.db.View(), cluster))
		}
		_, err = s.step(ctx, "broker/release", cluster, 0)
		assert.NoError(t, err)
		assert.Zero(t, holding(s.db.View(), cluster))
	}
	return got, missed
}

// work completes every machine's workflow and moves it through its transition.
func (s *site) work(ctx context.Context, t *testing.T) {
	for ctx.Err() == nil {
		for m := range api.Machines.All(s.db.View()) {
			err := s.update(ctx, func(tx *resource.Tx) error {
				if err := api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.WorkflowComplete = true; return nil }); err != nil {
					return err
				}
				if err := prove(tx, m); err != nil {
					return err
				}
				_, err := pool.Transition(tx, tx.Now(), m.Uuid)
				return err
			})
			assert.True(t, err == nil || ctx.Err() != nil, "%v", err)
		}
	}
}

// prove is the evidence of a wipe.
func prove(tx *resource.Tx, m *api.Machine) error {
	d := api.DiskID{Serial: "S", Size: 1}
	s := &api.DiskSurvey{Machine: m.Uuid, Release: m.Uses, Disks: []api.SurveyDisk{{DiskFact: api.DiskFact{DiskID: d}}}}
	p := &api.DiskProof{Uuid: m.Uuid, Machine: m.Uuid, Disk: d, Release: m.Uses, Method: api.MethodOverwrite, Bytes: 1, Read: 1, Proven: tx.Now()}
	return errors.Join(api.DiskSurveys.Put(tx, s), api.DiskProofs.Put(tx, p))
}

func allocated(m *api.Machine) bool {
	return m.PoolStatus == api.Building || m.PoolStatus == api.InUse || m.PoolStatus == api.HoldBuild
}

func holding(r resource.Reader, cluster string) (n int) {
	for m := range api.Machines.By(r, api.ByOwner, cluster) {
		if allocated(m) {
			n++
		}
	}
	return n
}

// check holds one update to the promises: whoever has a machine has it alone,
// nobody gets another's without its being free first, and a cluster has all of
// what it asked for or nothing.
func (s *site) check(r resource.Reader, before map[string]string) error {
	for m := range api.Machines.All(r) {
		was := before[m.Uuid]
		switch {
		case allocated(m) != m.PoolAllocated, allocated(m) && m.Owner == "", m.PoolStatus == api.Free && m.Owner != "":
			return fmt.Errorf("%s is %s, allocated %v, owner %q", m.Name, m.PoolStatus, m.PoolAllocated, m.Owner)
		case was != "" && m.Owner != "" && was != m.Owner:
			return fmt.Errorf("%s went from %s to %s without being freed", m.Name, was, m.Owner)
		}
	}
	for _, c := range s.clusters {
		if n := holding(r, c); n != 0 && n != s.sizes[c] {
			return fmt.Errorf("cluster %s holds %d machines, it asked for %d", c, n, s.sizes[c])
		}
	}
	return nil
}

func owners(r resource.Reader) map[string]string {
	out := map[string]string{}
	for m := range api.Machines.All(r) {
		out[m.Uuid] = m.Owner
	}
	return out
}

// update is an Update that is checked, tried until the store takes it.
func (s *site) update(ctx context.Context, fn func(tx *resource.Tx) error) error {
	for {
		err := s.db.Update(ctx, func(tx *resource.Tx) error {
			before := owners(tx)
			if err := fn(tx); err != nil {
				return err
			}
			return s.check(tx, before)
		})
		if resource.CodeOf(err) != resource.Unavailable {
			return err
		}
	}
}

// TestNeverTwoOwnersNeverHalf lets clusters compete for one pool while commits
// fail, and checks every single update.
func TestNeverTwoOwnersNeverHalf(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 8, 4, store.Faults{Every: 11})
			ctx, cancel := context.WithCancel(t.Context())
			var crew, clusters sync.WaitGroup
			crew.Go(func() { s.work(ctx, t) })
			var got, missed [4]int
			for i, c := range s.clusters {
				clusters.Go(func() { got[i], missed[i] = s.churn(ctx, t, c, rand.New(rand.NewPCG(seed, uint64(i)))) })
			}
			clusters.Wait()
			cancel()
			crew.Wait()
			assert.Equal(t, [4]int{5, 5, 5, 5}, got, "every cluster gets machines")
			assert.NotEqual(t, [4]int{}, missed, "they compete")
		})
	}
}

func TestRequestSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, 1, store.Faults{})
	require.NoError(t, s.db.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, api.Machines.One(tx, api.ByName, "n01").Uuid, func(m *api.Machine) error { m.Locked = true; return nil })
	}))
	res, err := s.step(t.Context(), "broker/allocate", s.clusters[0], 2)
	require.NoError(t, err)
	assert.False(t, res.Done)
	assert.Equal(t, "cluster c0 needs 2 machines of pool default at once, 1 can be taken (n01: locked)", res.Waiting)
	assert.Zero(t, holding(s.db.View(), s.clusters[0]))
}
