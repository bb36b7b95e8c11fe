package blank_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/blank"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

const (
	machineID = "11111111-1111-4111-8111-111111111111"
	otherID   = "22222222-2222-4222-8222-222222222222"
	clusterID = "33333333-3333-4333-8333-333333333333"
)

// ward is a machine on its way back, with two disks of which each case changes
// something.
type ward struct {
	m      *api.Machine
	survey *api.DiskSurvey
	proofs []*api.DiskProof
	others []*api.DiskSurvey
	pool   *api.Pool
}

func spread(size int64) (out []int64) {
	for i := range int64(64) {
		out = append(out, i*size/64)
	}
	return out
}

func newWard() *ward {
	w := &ward{m: &api.Machine{Name: "n1", Uuid: machineID, PoolStatus: api.Destroying, Uses: 3, Unwiped: &api.Unwiped{Owner: clusterID, Name: "web", Wrote: true}},
		survey: &api.DiskSurvey{Machine: machineID, Release: 3}, pool: &api.Pool{Id: "default"}}
	for _, serial := range []string{"S1", "S2"} {
		id := api.DiskID{Serial: serial, Size: 6400}
		w.survey.Disks = append(w.survey.Disks, api.SurveyDisk{DiskFact: api.DiskFact{DiskID: id, Transport: "sas"}})
		w.proofs = append(w.proofs, &api.DiskProof{Machine: machineID, Disk: id, Release: 3, Method: api.MethodOverwrite, Bytes: 6400,
			Samples: spread(6400), Read: 64, Wiped: time.Unix(1, 0), Proven: time.Unix(2, 0)})
	}
	return w
}

// open stores all of it.
func (w *ward) open(t *testing.T) *resource.DB {
	t.Helper()
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), proof.Claims), Hooks: blank.Hooks()})
	require.NoError(t, err)
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		require.NoError(t, api.Pools.Create(tx, w.pool))
		require.NoError(t, api.BootEnvs.Create(tx, &api.BootEnv{Name: "discovery", Kernel: "k"}))
		require.NoError(t, api.BootEnvs.Create(tx, &api.BootEnv{Name: "os-install", Kernel: "k"}))
		require.NoError(t, api.Tasks.Create(tx, operation("inventory")))
		require.NoError(t, api.Tasks.Create(tx, operation("wipe")))
		require.NoError(t, api.Tasks.Create(tx, operation("deploy")))
		require.NoError(t, api.Tasks.Create(tx, &api.Task{Name: "script", Templates: []api.TemplateInfo{{Name: "x", Contents: "dd"}}}))
		require.NoError(t, api.Machines.Create(tx, &api.Machine{Name: "n2", Uuid: otherID}))
		for _, s := range append(w.others, w.survey) {
			if s != nil {
				require.NoError(t, api.DiskSurveys.Put(tx, s))
			}
		}
		for _, p := range w.proofs {
			require.NoError(t, api.DiskProofs.Create(tx, p))
		}
		uses := w.m.Uses
		require.NoError(t, api.Machines.Create(tx, w.m)) // which begins a release
		return api.Machines.Modify(tx, machineID, func(m *api.Machine) error { m.Uses = uses; return nil })
	}))
	return db
}

func operation(op string) *api.Task {
	return &api.Task{Name: op, Templates: []api.TemplateInfo{{Name: op, Contents: "op: " + op + "\n", Meta: map[string]string{"Interpreter": "drp-agent"}}}}
}

// TestDecide: each thing that is missing holds the machine, and no save frees it.
func TestDecide(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(w *ward)
		held   string // "": it is clean
		dirty  bool   // Free, and not wiped
	}{
		"all is proven":             {func(*ward) {}, "", false},
		"no inventory":              {func(w *ward) { w.survey = nil }, "no inventory of its disks was ever taken", false},
		"an older inventory":        {func(w *ward) { w.survey.Release = 2 }, "no inventory of its disks was taken since it was released", false},
		"an older wipe":             {func(w *ward) { w.proofs[1].Release = 2 }, "(serial S2) was not wiped", false},
		"one disk not wiped":        {func(w *ward) { w.proofs = w.proofs[:1] }, "(serial S2) was not wiped", false},
		"not read back":             {func(w *ward) { w.proofs[1].Proven = time.Time{} }, "was wiped and not read back", false},
		"half of it overwritten":    {func(w *ward) { w.proofs[1].Bytes = 3200 }, "was overwritten for 3200 of its 6400 bytes", false},
		"samples of the front only": {func(w *ward) { w.proofs[1].Samples = spread(3200) }, "was read back at 64 places, which is not all over it", false},
		"one part without a sample": {func(w *ward) { w.proofs[1].Samples = spread(6400)[2:] }, "was read back at 62 places", false},
		"samples beyond its end":    {func(w *ward) { w.proofs[1].Samples = append(spread(6000), 6400, 6401) }, "not all over it", false},
		"read back as a whole":      {func(w *ward) { w.proofs[1].Samples, w.proofs[1].Read = nil, 6400 }, "", false},
		"sanitized": {func(w *ward) {
			w.proofs[1].Method, w.proofs[1].Record, w.proofs[1].Bytes = api.MethodSanitize, "SSTAT 1", 0
		}, "", false},
		"sanitized without a record":   {func(w *ward) { w.proofs[1].Method, w.proofs[1].Bytes = api.MethodSanitize, 6400 }, "has no record of the drive's own that sanitize completed", false},
		"erased without a record":      {func(w *ward) { w.proofs[1].Method = api.MethodCrypto }, "has no record of the drive's own that crypto-erase completed", false},
		"a disk that is gone":          {func(w *ward) { w.survey.Disks[1].Absent = true }, "was there with data and is not any more", false},
		"two that call themselves so":  {func(w *ward) { w.survey.Disks[1].DiskID = w.survey.Disks[0].DiskID }, "2 disks call themselves that", false},
		"a disk of that serial, other": {func(w *ward) { w.proofs[1].Disk.Size = 64 }, "(serial S2) was not wiped", false},
		"no disks":                     {func(w *ward) { w.survey.Disks, w.proofs = nil, nil }, "the inventory has no disks", false},
		"no disks, on somebody's word": {func(w *ward) {
			w.survey.Disks, w.proofs = nil, w.proofs[:1]
			w.proofs[0].Disk, w.proofs[0].Method = api.DiskID{}, api.MethodExempt
		}, "", false},
		"on somebody's word":         {func(w *ward) { w.proofs[1] = exempt(w.proofs[1].Disk, 3) }, "", false},
		"on a word of before":        {func(w *ward) { w.proofs[1] = exempt(w.proofs[1].Disk, 2) }, "(serial S2) was not wiped", false},
		"removable":                  {func(w *ward) { w.survey.Disks[1].Removable, w.proofs = true, w.proofs[:1] }, "", false},
		"removable once, now gone":   {func(w *ward) { w.survey.Disks[1].Removable, w.survey.Disks[1].Absent = true, true }, "is not any more", false},
		"read only":                  {func(w *ward) { w.survey.Disks[1].ReadOnly, w.proofs = true, w.proofs[:1] }, "(serial S2) is read only, worn out or locked perhaps, so it was not wiped (exempt it if that may be)", false},
		"read only and removable":    {func(w *ward) { d := &w.survey.Disks[1]; d.ReadOnly, d.Removable, w.proofs = true, true, w.proofs[:1] }, "", false},
		"read only, of the BMC":      {func(w *ward) { d := &w.survey.Disks[1]; d.ReadOnly, d.Virtual, w.proofs = true, true, w.proofs[:1] }, "", false},
		"read only, exempted":        {func(w *ward) { w.survey.Disks[1].ReadOnly = true; w.proofs[1] = exempt(w.proofs[1].Disk, 3) }, "", false},
		"read only since its wipe":   {func(w *ward) { w.survey.Disks[1].ReadOnly = true }, "", false},
		"read only, strangers' data": {func(w *ward) { w.foreign(""); w.survey.Disks[1].ReadOnly = true }, "its disks hold data that is nobody's that drpd knows of", false},
		"a medium of the BMC":        {func(w *ward) { w.survey.Disks[1].Virtual, w.proofs = true, w.proofs[:1] }, "", false},
		"behind an expander":         {func(w *ward) { w.survey.Disks[1].Expander, w.proofs = true, w.proofs[:1] }, "is behind a SAS expander, so it is not wiped", false},
		"behind Fibre Channel":       {func(w *ward) { w.survey.Disks[1].Transport, w.proofs = "fc", w.proofs[:1] }, "is behind Fibre Channel", false},
		"behind iSCSI":               {func(w *ward) { w.survey.Disks[1].Transport, w.proofs = "iscsi", w.proofs[:1] }, "is behind iSCSI", false},
		"seen by another machine":    {func(w *ward) { w.others, w.proofs = seen(w.survey.Disks[1]), w.proofs[:1] }, "is in the inventory of machine n2 too", false},
		"seen by one proven alike":   {func(w *ward) { w.alike("bmc", "operator") }, "is in the inventory of machine n2 too", false},
		"both by their lease":        {func(w *ward) { w.alike("lease", "lease") }, "is in the inventory of machine n2 too", false},
		"seen by one proven better":  {func(w *ward) { w.alike("lease", "bmc") }, "is in the inventory of machine n2 too", false},
		"seen by one proven worse":   {func(w *ward) { w.alike("bmc", "lease") }, "(serial S2) was not wiped", false},
		"worse than an operator's":   {func(w *ward) { w.alike("operator", "lease") }, "(serial S2) was not wiped", false},
		"seen by one of before":      {func(w *ward) { w.alike("bmc", "") }, "is in the inventory of machine n2 too", false},
		"behind an expander, wiped":  {func(w *ward) { w.survey.Disks[1].Expander = true }, "", false},
		"the pool wants no proof":    {func(w *ward) { w.pool.ReleaseProof, w.proofs = api.ReleaseNone, nil }, "", true},
		"nobody ever had it":         {func(w *ward) { w.m.PoolStatus, w.m.Unwiped, w.survey, w.proofs = api.Joining, nil, nil, nil }, "", false},
		"strangers' data":            {func(w *ward) { w.foreign("") }, "its disks hold data that is nobody's that drpd knows of", false},
		"strangers' data, approved":  {func(w *ward) { w.foreign("ann") }, "", false},
		"strangers' data, may go":    {func(w *ward) { w.foreign(""); w.pool.ForeignDisks = api.ForeignOverwrite }, "", true},
		"strangers' data, wiped":     {func(w *ward) { w.foreign(""); w.proofs = newWard().proofs }, "", false},
		"of no hardware":             {func(w *ward) { w.m.Virtual, w.survey, w.proofs = true, nil, nil }, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWard()
			c.change(w)
			db := w.open(t)
			m, err := api.Machines.Get(db.View(), machineID)
			require.NoError(t, err)
			v := blank.Decide(db.View(), m)
			if c.held == "" {
				assert.Equal(t, blank.Verdict{Clean: !c.dirty}, v)
			} else {
				assert.False(t, v.Clean)
				assert.Contains(t, v.Held, c.held)
			}
			w.saves(t, db, v)
		})
	}
}

// saves tries to write what Decide does not say.
func (w *ward) saves(t *testing.T, db *resource.DB, v blank.Verdict) {
	var is api.Machine
	edit := func(fn func(m *api.Machine)) error {
		return db.Update(t.Context(), func(tx *resource.Tx) error {
			if err := api.Machines.Modify(tx, machineID, func(m *api.Machine) error { fn(m); return nil }); err != nil {
				return err
			}
			m, err := api.Machines.Get(tx, machineID)
			require.NoError(t, err)
			is = *m
			return assert.AnError // only looked at
		})
	}
	frees := edit(func(m *api.Machine) { m.PoolStatus = api.Free })
	both := edit(func(m *api.Machine) { m.PoolStatus, m.Unwiped = api.Free, nil })
	assert.Equal(t, v.Held != "", frees != assert.AnError, "Free: %v", frees)
	assert.Equal(t, v.Held != "" || w.m.Unwiped != nil && !v.Clean, both != assert.AnError, "Free and said to be blank: %v", both)
	if !w.m.Virtual {
		assert.ErrorContains(t, edit(func(m *api.Machine) { m.Virtual = true }), "has hardware")
	}
	if w.m.Unwiped != nil && !v.Clean {
		err := edit(func(m *api.Machine) { m.PoolStatus, m.Unwiped = api.HoldLeave, nil })
		assert.True(t, err != assert.AnError || is.Unwiped != nil, "said to be blank: %v", err)
	}
}

func (w *ward) foreign(approved string) {
	w.m.PoolStatus, w.m.Unwiped, w.m.Uses, w.proofs = api.Joining, nil, 3, nil
	w.survey.Disks[1].Content, w.survey.Disks[1].Foreign, w.survey.Disks[1].Approved = []string{"ext4 at 0"}, true, approved
}

func exempt(id api.DiskID, release int) *api.DiskProof {
	return &api.DiskProof{Machine: machineID, Disk: id, Release: release, Method: api.MethodExempt, Proven: time.Unix(2, 0)}
}

func seen(d api.SurveyDisk) []*api.DiskSurvey {
	return []*api.DiskSurvey{{Machine: otherID, Disks: []api.SurveyDisk{d}}}
}

// alike has both machines see the second disk, and says what each rests on.
func (w *ward) alike(own, other string) {
	w.survey.Proof, w.others, w.proofs = own, seen(w.survey.Disks[1]), w.proofs[:1]
	w.others[0].Proof = other
}

// TestWhoMayHaveIt: what was not wiped is its last owner's alone.
func TestWhoMayHaveIt(t *testing.T) {
	t.Parallel()
	w := newWard()
	w.pool.ReleaseProof, w.proofs = api.ReleaseNone, nil
	db := w.open(t)
	m, err := api.Machines.Get(db.View(), machineID)
	require.NoError(t, err)
	assert.Empty(t, blank.Why(db.View(), m, blank.Taker{Cluster: clusterID}))
	for _, who := range []blank.Taker{{}, {Cluster: otherID}, {User: "ann"}} {
		assert.Contains(t, blank.Why(db.View(), m, who), "not wiped since cluster web had it")
	}
	w = newWard()
	w.proofs = nil
	db = w.open(t)
	assert.Contains(t, blank.Why(db.View(), w.m, blank.Taker{Cluster: clusterID}), "the data of cluster web is not proven to be gone", "what is held is nobody's")
}

// TestWhichPersonMayHaveIt: a person is one who is known, and the same one.
func TestWhichPersonMayHaveIt(t *testing.T) {
	t.Parallel()
	ann := blank.Taker{User: "ann"}
	for name, c := range map[string]struct {
		had   api.Unwiped
		after func(tx *resource.Tx) error
		who   blank.Taker
		may   bool
	}{
		"the same":                  {api.Unwiped{User: "ann"}, nil, ann, true},
		"another":                   {api.Unwiped{User: "bob"}, nil, ann, false},
		"who had it is not known":   {api.Unwiped{}, nil, ann, false},
		"who wants it is not known": {api.Unwiped{User: "ann"}, nil, blank.Taker{}, false},
		"neither is":                {api.Unwiped{}, nil, blank.Taker{}, false},
		"a cluster":                 {api.Unwiped{User: "ann"}, nil, blank.Taker{Cluster: clusterID}, false},
		"a cluster of nobody's":     {api.Unwiped{}, nil, blank.Taker{Cluster: clusterID}, false},
		"a person of that uuid":     {api.Unwiped{Owner: clusterID}, nil, blank.Taker{User: clusterID}, false},
		"prepared by the pool":      {api.Unwiped{Prepared: true}, nil, ann, true},
		"for another tenant": {api.Unwiped{User: "ann"}, func(tx *resource.Tx) error {
			return api.Tenants.Create(tx, &api.Tenant{Name: "t", Users: []string{"ann"}})
		}, ann, false},
		"for the same tenant": {api.Unwiped{User: "ann", Tenant: "t"}, func(tx *resource.Tx) error {
			return api.Tenants.Create(tx, &api.Tenant{Name: "t", Users: []string{"ann"}})
		}, ann, true},
		"for a tenant no more":        {api.Unwiped{User: "ann", Tenant: "t"}, nil, ann, false},
		"a later one of that name":    {api.Unwiped{User: "ann"}, func(tx *resource.Tx) error { return api.Users.Delete(tx, "ann") }, ann, false},
		"a later cluster of its uuid": {api.Unwiped{Owner: clusterID}, func(tx *resource.Tx) error { return api.Clusters.Delete(tx, clusterID) }, blank.Taker{Cluster: clusterID}, false},
	} {
		w := newWard()
		w.pool.ReleaseProof, w.proofs, w.m.Unwiped = api.ReleaseNone, nil, &c.had
		db := w.open(t)
		require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
			require.NoError(t, api.Users.Create(tx, &api.User{Name: "ann"}))
			return api.Clusters.Create(tx, &api.Machine{Name: "web", Uuid: clusterID})
		}))
		if c.after != nil {
			require.NoError(t, db.Update(t.Context(), c.after), name)
		}
		m, err := api.Machines.Get(db.View(), machineID)
		require.NoError(t, err)
		assert.Equal(t, c.may, blank.Why(db.View(), m, c.who) == "", "%s: %s", name, blank.Why(db.View(), m, c.who))
	}
}

// TestPreparedByThePool: only what the pool installs as a machine comes in, on
// disks that nobody had, is everybody's.
func TestPreparedByThePool(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status api.PoolStatus
		had    *api.Unwiped
		want   bool
	}{
		"coming in": {api.Joining, nil, true}, "in use without being taken": {api.Free, nil, false}, "after somebody": {api.Joining, &api.Unwiped{User: "ann"}, false},
		"prepared, then used": {api.Free, &api.Unwiped{Prepared: true}, false}, "on its way back": {api.Destroying, nil, false},
	} {
		w := newWard()
		w.pool.ReleaseProof = api.ReleaseNone
		w.m.PoolStatus, w.m.Unwiped = c.status, c.had
		db := w.open(t)
		require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error { return blank.Write(tx, machineID, "x") }))
		m, err := api.Machines.Get(db.View(), machineID)
		require.NoError(t, err)
		assert.Equal(t, c.want, m.Unwiped.Prepared, name)
	}
}

// TestEvidence: a report counts only if it comes from the discovery environment,
// of the present release.
func TestEvidence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(m *api.Machine, j *api.Job)
		after  func(m *api.Machine) // the job has begun
		counts bool
	}{
		"as it should be":         {func(*api.Machine, *api.Job) {}, nil, true},
		"from the installed disk": {func(m *api.Machine, j *api.Job) { m.BootEnv, j.BootEnv, m.Boot.Env = "local", "local", "local" }, nil, false},
		"from an installer": {func(m *api.Machine, j *api.Job) {
			m.BootEnv, j.BootEnv, m.Boot.Env = "os-install", "os-install", "os-install"
		}, nil, false},
		"said to be of discovery": {func(m *api.Machine, j *api.Job) { m.BootEnv, m.Boot.Env = "local", "local" }, nil, false},
		"not home":                {func(m *api.Machine, j *api.Job) { m.Boot.Home = false }, nil, false},
		"run on the server":       {func(m *api.Machine, j *api.Job) { j.Context = "x" }, nil, false},
		"with a BMC that showed nothing": {func(m *api.Machine, _ *api.Job) {
			m.Params, m.Boot.Intent = map[string]any{"ipmi/address": "192.0.2.1"}, "i2"
		}, nil, false},
		"with a BMC that showed the boot": {func(m *api.Machine, _ *api.Job) {
			m.Params, m.Boot.Intent = map[string]any{"ipmi/address": "192.0.2.1"}, "i1"
		}, nil, true},
		"begun before the release": {func(*api.Machine, *api.Job) {}, func(m *api.Machine) { m.Uses++ }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWard()
			w.survey, w.proofs = nil, nil
			w.m.BootEnv, w.m.Boot = "discovery", &api.BootState{Env: "discovery", Home: true}
			j := &api.Job{Uuid: otherID, Machine: machineID, Task: "wipe", BootEnv: "discovery", State: api.JobRunning}
			c.change(w.m, j)
			db := w.open(t)
			require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
				require.NoError(t, proof.Claims.Put(tx, &proof.Claim{Machine: machineID, Id: "c1", Proof: proof.BMC, Intent: "i1"}))
				return api.Jobs.Create(tx, j)
			}))
			require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
				if c.after != nil {
					require.NoError(t, api.Machines.Modify(tx, machineID, func(m *api.Machine) error { c.after(m); return nil }))
				}
				return api.Jobs.Modify(tx, j.Uuid, func(j *api.Job) error {
					id := api.DiskID{Serial: "S1", Size: 64}
					j.State, j.Reports = api.JobFinished, []api.DiskReport{{Op: "wipe", Disks: []api.DiskFact{{DiskID: id}},
						Done: []api.DiskDone{{DiskID: id, Method: api.MethodOverwrite, Bytes: 64}, {DiskID: api.DiskID{Serial: "S2"}, Method: "discard"},
							{DiskID: api.DiskID{Serial: "S3"}, Method: api.MethodOverwrite, Error: "write error"}}}}
					return nil
				})
			}))
			assert.Equal(t, c.counts, api.DiskSurveys.Has(db.View(), machineID))
			if s, err := api.DiskSurveys.Get(db.View(), machineID); err == nil {
				assert.Equal(t, "bmc", s.Proof)
			}
			var got []string
			for p := range api.DiskProofs.All(db.View()) {
				got = append(got, p.Disk.Serial)
				assert.Equal(t, []string{"bmc", "c1"}, []string{p.Proof, p.Claim}, "who told of it")
			}
			if c.counts {
				assert.Equal(t, []string{"S1"}, got, "a discard proves nothing, nor does what failed")
				return
			}
			assert.Empty(t, got)
		})
	}
}

// TestWhatWritesEndsProof: whatever may have written to a machine's disks makes
// the evidence of before count no more.
func TestWhatWritesEndsProof(t *testing.T) {
	t.Parallel()
	job := func(task string) func(tx *resource.Tx) error {
		return func(tx *resource.Tx) error {
			return api.Jobs.Create(tx, &api.Job{Machine: machineID, Task: task, BootEnv: "discovery", State: api.JobCreated})
		}
	}
	edit := func(fn func(m *api.Machine)) func(tx *resource.Tx) error {
		return func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, machineID, func(m *api.Machine) error { fn(m); return nil })
		}
	}
	for name, c := range map[string]struct {
		do    func(tx *resource.Tx) error
		keeps bool
	}{
		"an inventory":       {job("inventory"), true},
		"a wipe":             {job("wipe"), true},
		"an operation":       {job("action:cluster/join"), true},
		"a deployment":       {job("deploy"), false},
		"a script":           {job("script"), false},
		"a task of nothing":  {job("gone"), false},
		"an installer":       {edit(func(m *api.Machine) { m.Boot = &api.BootState{Env: "os-install", Intent: "i", Served: true} }), false},
		"an installer, home": {edit(func(m *api.Machine) { m.Boot = &api.BootState{Env: "os-install", Home: true} }), false},
		"a wish to install":  {edit(func(m *api.Machine) { m.BootEnv, m.Boot = "os-install", &api.BootState{Env: "os-install", Intent: "i"} }), true},
		"discovery, served":  {edit(func(m *api.Machine) { m.Boot = &api.BootState{Env: "discovery", Intent: "i", Served: true, Home: true} }), true},
		"another boot":       {edit(func(m *api.Machine) { m.BootEnv = "discovery" }), true},
		"taken again":        {edit(func(m *api.Machine) { m.PoolStatus = api.Building }), false},
		"released again":     {edit(func(m *api.Machine) { m.PoolStatus = api.InUse; m.Uses = 3 }), true},
	} {
		w := newWard()
		db := w.open(t)
		require.NoError(t, db.Update(t.Context(), c.do), name)
		m, err := api.Machines.Get(db.View(), machineID)
		require.NoError(t, err)
		assert.Equal(t, c.keeps, blank.Decide(db.View(), m).Clean, name)
	}
}

// TestExemptDisk wants a reason, and a disk of this release's inventory.
func TestExemptDisk(t *testing.T) {
	t.Parallel()
	w := newWard()
	w.proofs = nil
	db := w.open(t)
	try := func(disk, reason string) error {
		return db.Update(t.Context(), func(tx *resource.Tx) error { return blank.ExemptDisk(tx, machineID, disk, "ann", reason) })
	}
	assert.ErrorContains(t, try("S1", ""), "say why")
	assert.ErrorContains(t, try("S9", "shredded"), `no disk "S9"`)
	assert.ErrorContains(t, try("", "shredded"), `no disk ""`)
	assert.ErrorContains(t, try("none", "shredded"), `no disk "none"`)
	require.NoError(t, try("S1", "shredded"))
	m, err := api.Machines.Get(db.View(), machineID)
	require.NoError(t, err)
	assert.Contains(t, blank.Decide(db.View(), m).Held, "(serial S2) was not wiped")
	w = newWard()
	w.survey.Release = 2
	db = w.open(t)
	assert.ErrorContains(t, try("S1", "shredded"), "no inventory of its disks was taken since")
}
