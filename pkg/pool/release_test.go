package pool

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"drpd/pkg/api"
	"drpd/pkg/blank"
	"drpd/pkg/resource"
)

// TestReleaseWipes: where proof is required a release wipes, whatever the pool
// forgot to say.
func TestReleaseWipes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pool api.Pool
		m    func(m *api.Machine)
		flow string
		ends api.PoolStatus
	}{
		"no word of it":        {api.Pool{ReleaseProof: api.ReleaseRequired}, nil, blank.Decommission, api.Destroying},
		"a workflow":           {api.Pool{ReleaseProof: api.ReleaseRequired, ReleaseActions: &api.PoolActions{Workflow: "wipe"}}, nil, "wipe", api.Destroying},
		"no proof wanted":      {api.Pool{}, nil, "", api.Free},
		"of no hardware":       {api.Pool{ReleaseProof: api.ReleaseRequired}, func(m *api.Machine) { m.Virtual = true }, "", ""},
		"held, and once more":  {api.Pool{ReleaseProof: api.ReleaseRequired}, func(m *api.Machine) { m.PoolStatus = api.HoldDestroy }, blank.Decommission, api.Destroying},
		"Free, and not wiped":  {api.Pool{}, func(m *api.Machine) { m.PoolStatus, m.Unwiped = api.Free, &api.Unwiped{Why: "x"} }, blank.Decommission, api.Destroying},
		"no workflow to do it": {api.Pool{ReleaseProof: api.ReleaseRequired}, nil, "", api.HoldDestroy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.update(func(tx *resource.Tx) error {
				if name != "no workflow to do it" {
					if err := api.Workflows.Create(tx, &api.Workflow{Name: blank.Decommission, Stages: []string{"wipe"}}); err != nil {
						return err
					}
				}
				m := &api.Machine{Name: "a", PoolStatus: api.InUse}
				if c.m != nil {
					c.m(m)
				}
				return api.Machines.Create(tx, m)
			})
			c.pool.Id = "default"
			s.pool(&c.pool)
			_, err := s.ask(Release, "default", `{"pool/all-machines":true}`)
			assert.NoError(t, err)
			m := api.Machines.One(s.db.View(), api.ByName, "a")
			if c.ends == "" {
				assert.Nil(t, m, "what has no hardware goes with its release")
				return
			}
			assert.Equal(t, c.flow, m.Workflow)
			assert.Equal(t, c.ends, m.PoolStatus)
		})
	}
}

// TestWhoIsWiped: a machine that somebody has, or that is locked, is not.
func TestWhoIsWiped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		m    api.Machine
		does bool
	}{
		"held":         {api.Machine{PoolStatus: api.HoldDestroy}, true},
		"Free":         {api.Machine{PoolStatus: api.Free}, true},
		"in use":       {api.Machine{PoolStatus: api.InUse}, false},
		"being built":  {api.Machine{PoolStatus: api.Building}, false},
		"locked":       {api.Machine{PoolStatus: api.HoldDestroy, Locked: true}, false},
		"held, of one": {api.Machine{PoolStatus: api.HoldDestroy, Owner: "33333333-3333-4333-8333-333333333333"}, false},
	} {
		s := newSite(t)
		s.update(func(tx *resource.Tx) error {
			c.m.Name = "a"
			if err := api.Workflows.Create(tx, &api.Workflow{Name: blank.Decommission, Stages: []string{"wipe"}}); err != nil {
				return err
			}
			return api.Machines.Create(tx, &c.m)
		})
		err := s.db.Update(t.Context(), func(tx *resource.Tx) error { return Wipe(tx, c.m.Uuid) })
		assert.Equal(t, c.does, err == nil, "%s: %v", name, err)
	}
}

// TestWhoseDataItHolds: what was not wiped goes to its last owner only, by force
// as well, and not into a pool that wants proof.
func TestWhoseDataItHolds(t *testing.T) {
	t.Parallel()
	const web, db = "33333333-3333-4333-8333-333333333333", "44444444-4444-4444-8444-444444444444"
	setup := func() *site {
		s := newSite(t, "a")
		s.edit("a", func(m *api.Machine) { m.Unwiped = &api.Unwiped{Owner: web, Name: "web", Why: "it was taken"} })
		s.pool(&api.Pool{Id: "strict", ReleaseProof: api.ReleaseRequired})
		s.pool(&api.Pool{Id: "loose"})
		return s
	}
	take := func(s *site, owner string) error {
		return s.db.Update(t.Context(), func(tx *resource.Tx) error { return Take(tx, s.machine("a").Uuid, Claim{Owner: owner}) })
	}
	s := setup()
	assert.ErrorContains(t, take(s, db), "not wiped since cluster web had it")
	assert.ErrorContains(t, take(s, ""), "not wiped since cluster web had it")
	_, err := s.ask(Allocate, "default", `{"pool/count":1}`, "force", "true")
	assert.ErrorContains(t, err, "not wiped since cluster web had it")
	move := func(to string) error {
		return s.db.Update(t.Context(), func(tx *resource.Tx) error { return Move(tx, s.machine("a").Uuid, to, api.PoolActions{}) })
	}
	assert.ErrorContains(t, move("strict"), "pool strict does not take a")
	_, err = s.ask(Add, "strict", `{"pool/count":1}`, "source-pool", "default", "force", "true")
	assert.ErrorContains(t, err, "pool strict does not take a")
	assert.NoError(t, move("loose"))
	assert.NoError(t, take(setup(), web))
}

// TestPersonsAreNotOne: what a person gave back unwiped is theirs to take again,
// and no other person's, not by force, through a cluster or through another pool.
func TestPersonsAreNotOne(t *testing.T) {
	t.Parallel()
	s := newSite(t, "a")
	s.pool(&api.Pool{Id: "default", ReleaseProof: api.ReleaseNone})
	s.pool(&api.Pool{Id: "loose", ReleaseProof: api.ReleaseNone})
	_, err := s.ask(Allocate, "default", `{"pool/count":1}`)
	assert.NoError(t, err)
	assert.Equal(t, "ann", s.machine("a").Unwiped.User)
	_, err = s.ask(Release, "default", `{"pool/all-machines":true}`)
	assert.NoError(t, err)
	assert.Equal(t, api.Free, s.machine("a").PoolStatus)
	assert.Equal(t, "ann", s.machine("a").Unwiped.User)
	for _, force := range []string{"false", "true"} {
		_, err = s.ask(Allocate, "default", `{"pool/count":1}`, "user", "bob", "force", force)
		assert.ErrorContains(t, err, "not wiped since user ann had it: drpcli machines wipe a")
	}
	err = s.db.Update(t.Context(), func(tx *resource.Tx) error { return Take(tx, s.machine("a").Uuid, Claim{}) })
	assert.ErrorContains(t, err, "not wiped since user ann had it")
	_, err = s.ask(Add, "loose", `{"pool/count":1}`, "source-pool", "default", "user", "bob")
	assert.NoError(t, err)
	_, err = s.ask(Allocate, "loose", `{"pool/count":1}`, "user", "bob")
	assert.ErrorContains(t, err, "not wiped since user ann had it")
	_, err = s.ask(Allocate, "loose", `{"pool/count":1}`)
	assert.NoError(t, err, "her own")
}

// TestWhatIsHeldIsNobodys: a machine that is held for what is on a disk, as one
// that was retained, goes to nobody: not to another owner, by force or through
// another pool, and not silently to its own. A wipe or an exemption, each a right
// of its own, ends that.
func TestWhatIsHeldIsNobodys(t *testing.T) {
	t.Parallel()
	const web, db = "33333333-3333-4333-8333-333333333333", "44444444-4444-4444-8444-444444444444"
	s := newSite(t, "a")
	s.pool(&api.Pool{Id: "default", ReleaseProof: api.ReleaseRequired})
	s.pool(&api.Pool{Id: "attic", ReleaseProof: api.ReleaseRequired})
	s.edit("a", func(m *api.Machine) {
		m.PoolStatus, m.PoolHoldReason, m.Fence = api.HoldDestroy, "disk S1 is protected", &api.Fence{}
		m.Unwiped = &api.Unwiped{Owner: web, Name: "web", Wrote: true}
	})
	for _, owner := range []string{"", db, web} {
		err := s.db.Update(t.Context(), func(tx *resource.Tx) error { return Take(tx, s.machine("a").Uuid, Claim{Owner: owner}) })
		assert.ErrorContains(t, err, "cannot be allocated: HoldDestroy", owner)
		free, why, err := Candidates(s.db.View(), "default", owner, nil)
		assert.NoError(t, err)
		assert.Empty(t, free)
		assert.Equal(t, []string{"a: HoldDestroy"}, why)
	}
	_, err := s.ask(Allocate, "default", `{"pool/count":1}`, "force", "true")
	assert.ErrorContains(t, err, "the data of cluster web is not proven to be gone")
	_, err = s.ask(Add, "attic", `{"pool/count":1}`, "source-pool", "default", "force", "true")
	assert.ErrorContains(t, err, "the data of cluster web is not proven to be gone")
	_, err = s.ask(Remove, "attic", `{"pool/count":1}`, "force", "true")
	assert.Error(t, err)
	s.settle()
	assert.Equal(t, api.HoldDestroy, s.machine("a").PoolStatus)
	assert.Equal(t, web, s.machine("a").Unwiped.Owner, "whose it is stays known")
}

// TestAFailedJobWakes the rule, though nothing of its machine changes.
func TestAFailedJobWakes(t *testing.T) {
	t.Parallel()
	wake := Rule().Wake["jobs"]
	assert.Equal(t, []string{"m"}, wake(nil, resource.Event{New: &api.Job{Machine: "m", State: api.JobFailed}}))
	assert.Empty(t, wake(nil, resource.Event{New: &api.Job{Machine: "m", State: api.JobFinished}}))
	assert.Empty(t, wake(nil, resource.Event{}))
}
