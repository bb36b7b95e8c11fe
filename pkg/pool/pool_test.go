package pool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
	"drpd/pkg/workflow"
)

// site is a server with pools and machines whose agents the test plays.
type site struct {
	*testing.T
	db   *resource.DB
	flow *workflow.Flow
}

func newSite(t *testing.T, machines ...string) *site {
	t.Helper()
	flow := &workflow.Flow{}
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds(), Hooks: flow.Hooks()})
	require.NoError(t, err)
	s := &site{t, db, flow}
	s.update(func(tx *resource.Tx) error {
		errs := []error{
			api.Stages.Create(tx, &api.Stage{Name: "none"}),
			api.Profiles.Create(tx, &api.Profile{Name: "tenant"}),
			// These machines have no disks; free_test.go is about those that do.
			api.Preferences.Create(tx, &api.Preference{Name: api.PrefReleaseProof, Value: api.ReleaseNone}),
		}
		for _, name := range []string{"enter", "exit", "build", "wipe"} {
			errs = append(errs, api.Tasks.Create(tx, &api.Task{Name: name}),
				api.Stages.Create(tx, &api.Stage{Name: name, Tasks: []string{name}}),
				api.Workflows.Create(tx, &api.Workflow{Name: name, Stages: []string{name}}))
		}
		for _, name := range machines {
			errs = append(errs, api.Machines.Create(tx, &api.Machine{Name: name}))
		}
		return errors.Join(errs...)
	})
	return s
}

func (s *site) update(fn func(tx *resource.Tx) error) {
	s.Helper()
	require.NoError(s, s.db.Update(s.Context(), fn))
}

func (s *site) pool(p *api.Pool) {
	s.Helper()
	s.update(func(tx *resource.Tx) error { return api.Pools.Put(tx, p) })
}

func (s *site) machine(name string) *api.Machine {
	s.Helper()
	m := api.Machines.One(s.db.View(), api.ByName, name)
	require.NotNil(s, m, name)
	return m
}

func (s *site) edit(name string, fn func(m *api.Machine)) {
	s.Helper()
	s.update(func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, s.machine(name).Uuid, func(m *api.Machine) error { fn(m); return nil })
	})
}

// ask sends a request and returns the names of the machines it moved.
func (s *site) ask(verb Verb, pool, body string, query ...string) (names []string, err error) {
	s.Helper()
	v := url.Values{}
	for i := 0; i < len(query); i += 2 {
		v.Set(query[i], query[i+1])
	}
	q, err := Parse(verb, pool, []byte(body), v)
	if err != nil {
		return nil, err
	}
	if q.User = v.Get("user"); q.User == "" {
		q.User = "ann"
	}
	var ids []string
	err = s.db.Update(s.Context(), func(tx *resource.Tx) error {
		ids, err = Operate(tx, q, onlyName)
		return err
	})
	for _, r := range Results(s.db.View(), ids) {
		names = append(names, r.Name)
	}
	return names, err
}

// onlyName is a stand-in for REST's filters.
func onlyName(_ resource.Reader, m *api.Machine, filter string) (bool, error) {
	return filter == "Name="+m.Name, nil
}

// settle runs the rule on every machine until nothing changes.
func (s *site) settle() {
	s.Helper()
	for rev := uint64(0); rev != s.db.View().Rev(); {
		rev = s.db.View().Rev()
		for m := range api.Machines.All(s.db.View()) {
			s.update(func(tx *resource.Tx) error { _, err := Transition(tx, tx.Now(), m.Uuid); return err })
		}
	}
}

// agent does the machine's next task, with that outcome.
func (s *site) agent(name, task string, state api.JobState) {
	s.Helper()
	id := s.machine(name).Uuid
	s.update(func(tx *resource.Tx) error {
		n, err := s.flow.NextJob(tx, tx.Now(), id, "")
		if err != nil {
			return err
		}
		if n.Job == nil || n.Job.Task != task {
			return fmt.Errorf("%s has %+v to do", name, n)
		}
		if err := api.Jobs.Modify(tx, n.Job.Uuid, func(j *api.Job) error { return j.Move(state, tx.Now()) }); err != nil || state == api.JobFailed {
			return err
		}
		_, err = s.flow.NextJob(tx, tx.Now(), id, "") // finds the end of the list
		return err
	})
	s.settle()
}

// states is "name status allocated pool" of machines.
func (s *site) states(names ...string) []string {
	s.Helper()
	var out []string
	for _, n := range names {
		m := s.machine(n)
		out = append(out, fmt.Sprint(n, " ", m.PoolStatus, " ", m.PoolAllocated, " ", m.Pool))
	}
	return out
}

// TestTraceE: two of three are taken at once, the unavailable one is passed
// over, a failed task holds its machine until it is repaired, and a second
// caller gets nothing and changes nothing.
func TestTraceE(t *testing.T) {
	t.Parallel()
	s := newSite(t, "a", "b", "c", "d")
	s.edit("a", func(m *api.Machine) { m.Profiles = []string{"missing"} })
	s.pool(&api.Pool{Id: "default", AllocateActions: &api.PoolActions{Workflow: "build"}})
	got, err := s.ask(Allocate, "default", `{"pool/count": 2, "pool/minimum": 2}`)
	require.NoError(t, err)
	assert.Equal(t, []string{"b", "c"}, got)
	assert.Equal(t, []string{"a Free false default", "b Building true default", "c Building true default", "d Free false default"}, s.states("a", "b", "c", "d"))
	assert.Equal(t, "build", s.machine("b").Workflow)

	_, err = s.ask(Allocate, "default", `{"pool/count": 2, "pool/minimum": 2}`)
	require.ErrorContains(t, err, "at least 2 machines of pool default are wanted, 1 can be had; nothing was changed (a: not available: ")
	assert.Equal(t, resource.Refused, resource.CodeOf(err))
	assert.Equal(t, []string{"d Free false default"}, s.states("d"))

	s.agent("b", "build", api.JobFinished)
	s.agent("c", "build", api.JobFailed)
	assert.Equal(t, []string{"b InUse true default", "c HoldBuild true default"}, s.states("b", "c"))
	assert.Contains(t, s.machine("c").PoolHoldReason, "task build failed")
	s.edit("c", func(m *api.Machine) { m.Runnable = true })
	s.settle()
	assert.Equal(t, []string{"c Building true default"}, s.states("c"))
	s.agent("c", "build", api.JobFinished)
	assert.Equal(t, []string{"c InUse true default"}, s.states("c"))
	assert.Equal(t, map[api.PoolStatus]int{"Free": 2, "InUse": 2}, counts(s.db.View(), "default"))
}

func counts(v *resource.View, pool string) map[api.PoolStatus]int {
	out := map[api.PoolStatus]int{}
	for status, list := range Members(v, pool) {
		out[status] = len(list)
	}
	return out
}

// TestWayThroughPools leads one machine through all transitions, with and
// without workflows, and through a hold in each.
func TestWayThroughPools(t *testing.T) {
	t.Parallel()
	s := newSite(t, "a")
	s.pool(&api.Pool{Id: "default", ExitActions: &api.PoolActions{Workflow: "exit"}})
	s.pool(&api.Pool{Id: "lab", ParentPool: "attic", EnterActions: &api.PoolActions{Workflow: "enter", AddParameters: resource.Params{"in": "lab"}},
		ExitActions: &api.PoolActions{RemoveParameters: []string{"in"}}, ReleaseActions: &api.PoolActions{Workflow: "wipe"}})
	ask := func(verb Verb, pool, body, want string) {
		t.Helper()
		_, err := s.ask(verb, pool, body)
		require.NoError(t, err)
		assert.Equal(t, []string{want}, s.states("a"))
	}
	work := func(task string, state api.JobState, want string) {
		t.Helper()
		s.agent("a", task, state)
		assert.Equal(t, []string{want}, s.states("a"))
	}
	repair := func() { s.edit("a", func(m *api.Machine) { m.Runnable = true }) }

	ask(Add, "lab", `{}`, "a Leaving false default")
	work("exit", api.JobFailed, "a HoldLeave false default")
	repair()
	work("exit", api.JobFinished, "a Joining false lab")
	assert.Equal(t, "lab", s.machine("a").Params["in"])
	work("enter", api.JobFailed, "a HoldJoin false lab")
	repair()
	work("enter", api.JobFinished, "a Free false lab")
	ask(Allocate, "lab", `{"pool/workflow": "build", "pool/add-profiles": ["tenant"], "pool/add-parameters": {"who": "me"}}`, "a Building true lab")
	assert.Equal(t, []string{"tenant"}, s.machine("a").Profiles)
	work("build", api.JobFinished, "a InUse true lab")
	ask(Release, "lab", `{"pool/remove-profiles": ["tenant"], "pool/remove-parameters": ["who"]}`, "a Destroying false lab")
	assert.Equal(t, []string{}, s.machine("a").Profiles)
	assert.Equal(t, resource.Params{"in": "lab"}, s.machine("a").Params)
	work("wipe", api.JobFailed, "a HoldDestroy false lab")
	repair()
	work("wipe", api.JobFinished, "a Free false lab")
	ask(Remove, "lab", ``, "a Free false attic")
	assert.Equal(t, resource.Params{}, s.machine("a").Params)
	assert.Equal(t, []string{"attic"}, Active(s.db.View()))
	ask(Allocate, "attic", `{"pool/all-machines": true}`, "a InUse true attic")
}

// TestSameWorkflowAgain: a machine whose last workflow is the transition's own
// runs it again and is not done at once.
func TestSameWorkflowAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, "a")
	s.edit("a", func(m *api.Machine) { m.Workflow = "build" })
	s.agent("a", "build", api.JobFinished)
	_, err := s.ask(Allocate, "default", `{"pool/workflow": "build"}`)
	require.NoError(t, err)
	s.settle()
	assert.Equal(t, []string{"a Building true default"}, s.states("a"))
	s.agent("a", "build", api.JobFinished)
	assert.Equal(t, []string{"a InUse true default"}, s.states("a"))
}

func TestChoose(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		verb       Verb
		pool, body string
		query      []string
		want       []string
		err        string
	}{
		"one by default":         {Allocate, "default", ``, nil, []string{"a"}, ""},
		"all that can":           {Allocate, "default", `{"pool/all-machines": true}`, nil, []string{"a", "b"}, ""},
		"at least":               {Allocate, "default", `{"pool/count": 5, "pool/minimum": 2}`, nil, []string{"a", "b"}, ""},
		"too few":                {Allocate, "default", `{"pool/count": 3}`, nil, nil, "at least 3 machines of pool default are wanted, 2 can be had; nothing was changed (lock: locked, own: owned, use: InUse)"},
		"all and too few":        {Allocate, "default", `{"pool/all-machines": true, "pool/minimum": 3}`, nil, nil, "2 can be had"},
		"listed by name":         {Allocate, "default", `{"pool/machine-list": ["Name:b"]}`, nil, []string{"b"}, ""},
		"listed but locked":      {Allocate, "default", `{"pool/machine-list": ["Name:b", "Name:lock"]}`, nil, nil, "2 machines of pool default are wanted, 1 can be had; nothing was changed (lock: locked, own: owned, use: InUse)"},
		"listed with minimum":    {Allocate, "default", `{"pool/machine-list": ["Name:b", "Name:lock"], "pool/minimum": 1}`, nil, []string{"b"}, ""},
		"listed elsewhere":       {Allocate, "lab", `{"pool/machine-list": ["Name:b"]}`, nil, nil, "b is in pool default, not lab"},
		"listed nowhere":         {Allocate, "default", `{"pool/machine-list": ["Name:x"]}`, nil, nil, `there is no machine "Name:x"`},
		"filtered":               {Allocate, "default", `{"pool/filter": ["Name=b"]}`, nil, []string{"b"}, ""},
		"filters are ANDed":      {Allocate, "default", `{"pool/filter": ["Name=b", "Name=a"]}`, nil, nil, "0 can be had"},
		"unknown pool":           {Allocate, "nowhere", ``, nil, nil, "0 can be had"},
		"release":                {Release, "default", `{"pool/all-machines": true}`, nil, []string{"use"}, ""},
		"add to a new pool":      {Add, "new", `{"pool/count": 2}`, nil, []string{"a", "b"}, ""},
		"add from elsewhere":     {Add, "new", ``, []string{"source-pool", "lab"}, nil, "of pool lab are wanted, 0 can be had"},
		"add to itself":          {Add, "default", ``, nil, nil, "the pool that they come from"},
		"remove without parent":  {Remove, "default", ``, nil, nil, "has no ParentPool"},
		"count and all":          {Allocate, "default", `{"pool/count": 1, "pool/all-machines": true}`, nil, nil, "give one of"},
		"list and count":         {Allocate, "default", `{"pool/count": 1, "pool/machine-list": ["x"]}`, nil, nil, "give one of"},
		"minimum above count":    {Allocate, "default", `{"pool/count": 1, "pool/minimum": 2}`, nil, nil, "pool/minimum is 2, but only 1"},
		"negative":               {Allocate, "default", `{"pool/count": -1}`, nil, nil, "cannot be negative"},
		"unknown key":            {Allocate, "default", `{"pool/cuont": 1}`, nil, nil, "pool/cuont"},
		"unknown workflow":       {Allocate, "default", `{"pool/workflow": "x"}`, nil, nil, `there is no workflow "x"`},
		"unknown profile":        {Allocate, "default", `{"pool/add-profiles": ["x"]}`, nil, nil, `there is no profile "x"`},
		"bad name":               {Add, "/x", ``, nil, nil, "must start with"},
		"force does not steal":   {Allocate, "default", `{"pool/count": 3}`, []string{"force", "true"}, nil, "2 can be had"},
		"what a client may send": {Allocate, "default", `{"pool/all-machines":false,"pool/minimum":1,"pool/wait-timeout":"","pool/count":1,"pool/workflow":""}`, nil, []string{"a"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "a", "b", "lock", "own", "use")
			s.edit("lock", func(m *api.Machine) { m.Locked = true })
			s.edit("own", func(m *api.Machine) { m.Owner = "c" })
			s.edit("use", func(m *api.Machine) { m.PoolStatus, m.PoolAllocated = api.InUse, true })
			rev := s.db.View().Rev()
			got, err := s.ask(c.verb, c.pool, c.body, c.query...)
			assert.Equal(t, c.want, got)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				assert.NotEmpty(t, resource.CodeOf(err))
				assert.Equal(t, rev, s.db.View().Rev(), "nothing moves")
				return
			}
			require.NoError(t, err)
		})
	}
}

func TestForceReleasesWhatIsStuck(t *testing.T) {
	t.Parallel()
	s := newSite(t, "a")
	_, err := s.ask(Allocate, "default", `{"pool/workflow": "build"}`)
	require.NoError(t, err)
	_, err = s.ask(Release, "default", ``)
	require.ErrorContains(t, err, "a: Building (force releases it)")
	_, err = s.ask(Release, "default", ``, "force", "true")
	require.NoError(t, err)
	assert.Equal(t, []string{"a Free false default"}, s.states("a"))
}

func TestMerge(t *testing.T) {
	t.Parallel()
	base := api.PoolActions{Workflow: "w", AddProfiles: []string{"p", "q"}, RemoveProfiles: []string{"r"},
		AddParameters: resource.Params{"x": 1, "y": 1}, RemoveParameters: []string{"z"}}
	over := api.PoolActions{Workflow: "v", AddProfiles: []string{"r"}, RemoveProfiles: []string{"q"},
		AddParameters: resource.Params{"x": 2, "z": 2}, RemoveParameters: []string{"y"}}
	assert.Equal(t, api.PoolActions{Workflow: "v", AddProfiles: []string{"p", "r"}, RemoveProfiles: []string{"q"},
		AddParameters: resource.Params{"x": 2, "z": 2}, RemoveParameters: []string{"y"}}, merge(base, over))
	assert.Equal(t, "w", merge(base, api.PoolActions{}).Workflow)
}

func TestParseWait(t *testing.T) {
	t.Parallel()
	for in, want := range map[any]time.Duration{nil: 0, "": 0, "0": 0, "30m": 30 * time.Minute, "90": 90 * time.Second, 1.5: 1500 * time.Millisecond} {
		got, err := parseWait(in)
		require.NoError(t, err, in)
		assert.Equal(t, want, got, in)
	}
	for _, in := range []any{"soon", -1.0, "-1m", "25h", 1e300, true} {
		_, err := parseWait(in)
		assert.Error(t, err, in)
	}
}

// TestCallersNeverShare lets many callers allocate and release at once: no
// machine is ever given to two of them, and a request gets what it asked for
// or changes nothing.
func TestCallersNeverShare(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("m%02d", i))
	}
	s := newSite(t, names...)
	var mu sync.Mutex // guards holder
	holder := map[string]int{}
	var wg sync.WaitGroup
	for caller := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(caller)))
			for range 50 {
				n := 1 + rnd.IntN(6)
				got, err := s.ask(Allocate, "default", fmt.Sprintf(`{"pool/count": %d}`, n))
				if err != nil {
					assert.Equal(t, resource.Refused, resource.CodeOf(err))
					continue
				}
				assert.Len(t, got, n)
				mu.Lock()
				for _, name := range got {
					assert.NotContains(t, holder, name)
					holder[name] = caller
				}
				mu.Unlock()
				for _, name := range got {
					mu.Lock()
					delete(holder, name)
					mu.Unlock()
					_, err := s.ask(Release, "default", fmt.Sprintf(`{"pool/machine-list": ["Name:%s"]}`, name))
					assert.NoError(t, err)
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, map[api.PoolStatus]int{"Free": 20}, counts(s.db.View(), "default"))
}

// TestUnfinishedMachines are passed over with what they have to finish, be it
// of a workflow or not.
func TestUnfinishedMachines(t *testing.T) {
	t.Parallel()
	s := newSite(t, "flow", "none")
	s.edit("flow", func(m *api.Machine) { m.Workflow = "build" })
	s.edit("none", func(m *api.Machine) { m.Tasks = []string{"enter"} })
	_, err := s.ask(Allocate, "default", "")
	assert.ErrorContains(t, err, "(flow: workflow build is not complete, none: its tasks are not complete, it has no workflow)")
}

// TestReleaseLeavesNoContext: what a release has to do is done on the machine,
// whatever context its last owner left it in; a boot that was given up is wanted
// anew.
func TestReleaseLeavesNoContext(t *testing.T) {
	t.Parallel()
	s := newSite(t, "a")
	s.pool(&api.Pool{Id: "default", ReleaseActions: &api.PoolActions{Workflow: "wipe"}})
	_, err := s.ask(Allocate, "default", `{}`)
	require.NoError(t, err)
	s.edit("a", func(m *api.Machine) {
		m.Moving, m.Context, m.Boot = true, "runner", &api.BootState{Intent: "i", Env: m.BootEnv, Error: "given up"}
	})
	_, err = s.ask(Release, "default", `{}`)
	require.NoError(t, err)
	m := s.machine("a")
	assert.Empty(t, m.Context)
	require.NotNil(t, m.Boot)
	assert.Empty(t, m.Boot.Error)
	assert.NotEqual(t, "i", m.Boot.Intent)
}
