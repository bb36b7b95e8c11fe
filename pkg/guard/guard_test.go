package guard_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/guard"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

const (
	clusterID = "11111111-1111-4111-8111-111111111111"
	memberID  = "22222222-2222-4222-8222-222222222222"
)

// yard is a cluster with one member, whose disk is S1 or 0x50.
type yard struct {
	*testing.T
	db *resource.DB
}

func newYard(t *testing.T, protected bool, status api.PoolStatus) *yard {
	t.Helper()
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds(), Hooks: guard.Hooks()})
	require.NoError(t, err)
	y := &yard{t, db}
	require.NoError(t, y.update(func(tx *resource.Tx) error {
		if err := api.Clusters.Create(tx, &api.Machine{Name: "web", Uuid: clusterID, Protected: protected, ProtectedBy: "ann"}); err != nil {
			return err
		}
		inventory := map[string]any{"Disks": []any{map[string]any{"Serial": "S1", "WWN": "0x50"}, map[string]any{"Serial": "S2"}}}
		return api.Machines.Create(tx, &api.Machine{Name: "n1", Uuid: memberID, Owner: clusterID, PoolStatus: status, Params: resource.Params{"inventory/data": inventory}})
	}))
	return y
}

func (y *yard) update(fn func(tx *resource.Tx) error) error { return y.db.Update(y.Context(), fn) }

func (y *yard) machine() *api.Machine {
	m, err := api.Machines.Get(y.db.View(), memberID)
	require.NoError(y, err)
	return m
}

func (y *yard) edit(fn func(m *api.Machine)) error {
	return y.update(func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, memberID, func(m *api.Machine) error { fn(m); return nil })
	})
}

func TestDestroy(t *testing.T) {
	t.Parallel()
	all := []guard.Effect{guard.Wipe, guard.Install, guard.Release, guard.Delete}
	for name, c := range map[string]struct {
		protected bool
		status    api.PoolStatus
		allowed   []guard.Effect
	}{
		"not protected":        {false, api.InUse, all},
		"in use":               {true, api.InUse, nil},
		"being built":          {true, api.Building, []guard.Effect{guard.Wipe, guard.Install}},
		"could not be built":   {true, api.HoldBuild, []guard.Effect{guard.Wipe, guard.Install}},
		"on its way back":      {true, api.Destroying, nil},
		"held on its way back": {true, api.HoldDestroy, nil},
	} {
		y := newYard(t, c.protected, c.status)
		for _, what := range all {
			// What the machine is said to be by whoever asks does not count.
			for _, asked := range []*api.Machine{y.machine(), {Uuid: memberID}, {Uuid: memberID, PoolStatus: api.Building}} {
				err := guard.Destroy(y.db.View(), asked, what)
				if assert.Equal(t, !contains(c.allowed, what), err != nil, "%s: %s", name, what); err == nil {
					continue
				}
				assert.Equal(t, "machines/"+memberID+": cluster web is protected: nothing was done, n1 is not "+string(what)+
					"; lift the protection first (drpcli clusters unprotect web), which is its field Protected, set by ann", err.Error())
				assert.Equal(t, resource.Refused, resource.CodeOf(err))
			}
		}
	}
}

func contains(list []guard.Effect, what guard.Effect) bool {
	for _, e := range list {
		if e == what {
			return true
		}
	}
	return false
}

// TestSavesThatLetAMemberGo go round all operations and write the machine.
func TestSavesThatLetAMemberGo(t *testing.T) {
	t.Parallel()
	saves := map[string]func(m *api.Machine){
		"owner cleared":  func(m *api.Machine) { m.Owner = "" },
		"another owner":  func(m *api.Machine) { m.Owner = memberID },
		"destroying":     func(m *api.Machine) { m.PoolStatus = api.Destroying },
		"free":           func(m *api.Machine) { m.PoolStatus = api.Free },
		"leaving":        func(m *api.Machine) { m.PoolStatus = api.Leaving },
		"an installer":   func(m *api.Machine) { m.BootEnv = "os-install" },
		"a moving one":   func(m *api.Machine) { m.Moving, m.BootEnv = true, "os-install" },
		"an operation":   func(m *api.Machine) { m.Tasks = []string{"action:disk/plan-wipe"} },
		"a wiping task":  func(m *api.Machine) { m.Tasks = []string{"erase"} },
		"a templated op": func(m *api.Machine) { m.Tasks = []string{"hidden"} },
	}
	for name, change := range saves {
		for _, protected := range []bool{true, false} {
			y := newYard(t, protected, api.InUse)
			require.NoError(t, y.update(func(tx *resource.Tx) error {
				if err := api.Tasks.Create(tx, operation("erase", "op: wipe\ndisks: []")); err != nil {
					return err
				}
				if err := api.Tasks.Create(tx, operation("hidden", `# op: inventory`+"\n"+`op: {{ .Param "x" }}`)); err != nil {
					return err
				}
				return api.BootEnvs.Create(tx, &api.BootEnv{Name: "os-install"})
			}))
			err := y.edit(change)
			assert.Equal(t, protected, err != nil, "%s, protected %v: %v", name, protected, err)
		}
	}
	y := newYard(t, true, api.InUse)
	assert.NoError(t, y.edit(func(m *api.Machine) { m.Tasks = []string{"look"} }))
	assert.ErrorContains(t, y.update(func(tx *resource.Tx) error { return api.Machines.Delete(tx, memberID) }), "n1 is not deleted")
	assert.ErrorContains(t, y.update(func(tx *resource.Tx) error { return api.Clusters.Delete(tx, clusterID) }), "it is not forgotten")
}

// TestClustersListsThatEndIt are refused before the cluster enters them.
func TestClustersListsThatEndIt(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c *api.Machine){
		"an operation": func(c *api.Machine) { c.Tasks = []string{"action:cluster/leave"} },
		"a task":       func(c *api.Machine) { c.Tasks = []string{"hidden"} },
		"a stage":      func(c *api.Machine) { c.Stage = "away" },
		"in a list":    func(c *api.Machine) { c.Tasks = []string{"stage:away", "flexiflow-start"} },
		"nothing":      func(c *api.Machine) { c.Tasks, c.Stage = []string{"action:cluster/gather"}, "stay" },
	} {
		for _, protected := range []bool{true, false} {
			y := newYard(t, protected, api.InUse)
			require.NoError(t, y.update(func(tx *resource.Tx) error {
				task := &api.Task{Name: "hidden"}
				task.Meta = map[string]string{"native": "cluster/release"}
				if err := api.Tasks.Create(tx, task); err != nil {
					return err
				}
				if err := api.Stages.Create(tx, &api.Stage{Name: "stay"}); err != nil {
					return err
				}
				return api.Stages.Create(tx, &api.Stage{Name: "away", Params: resource.Params{"flexiflow/list-parameter": "list", "list": []any{"x", "action:cluster/release"}}})
			}))
			err := y.update(func(tx *resource.Tx) error {
				return api.Clusters.Modify(tx, clusterID, func(c *api.Machine) error { change(c); return nil })
			})
			if protected && name != "nothing" {
				assert.ErrorContains(t, err, "it is not destroyed", name)
				continue
			}
			assert.NoError(t, err, name)
		}
	}
}

func operation(name, text string) *api.Task {
	return &api.Task{Name: name, Templates: []api.TemplateInfo{{Name: name, Contents: text, Meta: map[string]string{"Interpreter": "drp-agent"}}}}
}

func TestActions(t *testing.T) {
	t.Parallel()
	own := func(m *api.Machine) { m.Params["disk/protected"] = []any{"s1"} }
	for name, c := range map[string]struct {
		doc, want, refused string
	}{
		"harmless":             {doc: "op: inventory", want: "op: inventory"},
		"another disk":         {doc: "op: wipe\ndisks: [{serial: S2}]", want: `{"disks":[{"serial":"S2"}],"op":"wipe","protected":["s1"]}`},
		"its list replaced":    {doc: "op: wipe\nPROTECTED: []\ndisks: [{serial: S2}]", want: `{"disks":[{"serial":"S2"}],"op":"wipe","protected":["s1"]}`},
		"its list kept":        {doc: "op: wipe\nprotected: [S9]\ndisks: [{serial: S2}]", want: `{"disks":[{"serial":"S2"}],"op":"wipe","protected":["S9","s1"]}`},
		"large numbers":        {doc: "op: deploy\nrawSize: 4294967296000\ndisk: {serial: S2}", want: `{"disk":{"serial":"S2"},"op":"deploy","protected":["s1"],"rawSize":4294967296000}`},
		"by serial":            {doc: "op: wipe\ndisks: [{serial: S1}]", refused: "disk S1 is protected by param disk/protected of machines/" + memberID},
		"by the WWN":           {doc: "op: wipe\ndisks: [{wwn: naa.50}]", refused: "disk naa.50 is protected"},
		"of an installation":   {doc: "Op: deploy\nDisk: {Serial: S1}", refused: "disk S1 is protected"},
		"an unknown operation": {doc: "op: sanitize\ndisks: [{serial: S1}]", refused: "disk S1 is protected"},
		"unreadable":           {doc: "op: [", refused: "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, protected := range []bool{false, true} {
				y := newYard(t, protected, api.InUse)
				require.NoError(t, y.edit(own))
				got, err := guard.Actions(y.db.View(), y.machine(), []api.JobAction{
					{Name: "script", Content: "dd"}, {Name: "file", Path: "/x", Content: c.doc},
					{Name: name, Content: c.doc, Meta: map[string]string{"Interpreter": "drp-agent"}}})
				switch {
				case protected && c.doc != "op: inventory" && name != "unreadable":
					assert.ErrorContains(t, err, "cluster web is protected")
				case c.refused != "":
					assert.ErrorContains(t, err, c.refused)
				default:
					require.NoError(t, err)
					assert.Equal(t, c.want, got[2].Content)
					assert.Equal(t, c.doc, got[1].Content)
				}
			}
		})
	}
}

func TestLift(t *testing.T) {
	t.Parallel()
	y := newYard(t, false, api.InUse)
	require.NoError(t, y.update(func(tx *resource.Tx) error {
		return api.Profiles.Create(tx, &api.Profile{Name: "p", Params: resource.Params{"disk/protected": []any{"S1", "S2"}}})
	}))
	require.NoError(t, y.edit(func(m *api.Machine) { m.Profiles = []string{"p"} }))
	lift := func(disks ...string) error {
		return y.update(func(tx *resource.Tx) error { return guard.Lift(tx, memberID, disks) })
	}
	assert.ErrorContains(t, lift("s1"), "profiles/p names disk S1 in param disk/protected: take it out there")
	require.NoError(t, y.edit(func(m *api.Machine) { m.Profiles = []string{} }))
	assert.Equal(t, []string{"S1", "S2"}, guard.Protected(y.db.View(), y.machine()))
	require.NoError(t, y.update(func(tx *resource.Tx) error { return api.Profiles.Delete(tx, "p") }))
	assert.Equal(t, []api.DiskGuard{{Source: "profiles/p", Disks: []string{"S1", "S2"}, Gone: true}}, y.machine().ProtectedDisks)
	require.NoError(t, y.edit(func(m *api.Machine) { m.Owner = "" }))
	assert.ErrorContains(t, y.update(func(tx *resource.Tx) error { return api.Machines.Delete(tx, memberID) }), "disks of n1 are protected (S1, S2)")
	require.NoError(t, lift("wwn-s1"))
	assert.Equal(t, []string{"S2"}, guard.Protected(y.db.View(), y.machine()))
	require.NoError(t, lift())
	assert.Empty(t, guard.Protected(y.db.View(), y.machine()))
	assert.NoError(t, y.update(func(tx *resource.Tx) error { return api.Machines.Delete(tx, memberID) }))
}

// TestStageAndBlueprint: these layers go by themselves.
func TestStageAndBlueprint(t *testing.T) {
	t.Parallel()
	y := newYard(t, false, api.InUse)
	require.NoError(t, y.update(func(tx *resource.Tx) error {
		if err := api.Stages.Create(tx, &api.Stage{Name: "keeps", Params: resource.Params{"disk/protected": []any{"S1"}}}); err != nil {
			return err
		}
		return api.Stages.Create(tx, &api.Stage{Name: "next"})
	}))
	require.NoError(t, y.edit(func(m *api.Machine) { m.Stage = "keeps" }))
	require.NoError(t, y.edit(func(m *api.Machine) { m.Stage = "next" }))
	assert.Error(t, guard.Disk(y.db.View(), y.machine(), "s1", "", guard.Wipe), "until the stage says otherwise")
	require.NoError(t, y.update(func(tx *resource.Tx) error {
		return api.Stages.Modify(tx, "keeps", func(s *api.Stage) error { s.Params = resource.Params{}; return nil })
	}))
	assert.NoError(t, guard.Disk(y.db.View(), y.machine(), "s1", "", guard.Wipe))
}

func TestSame(t *testing.T) {
	t.Parallel()
	for _, p := range [][2]string{{"S1", "s1"}, {"S1", " s1 "}, {"wwn-0x50", "naa.50"}, {"eui.0025", "0x0025"}, {"0x50", "50"}} {
		assert.True(t, guard.Same(p[0], p[1]), p)
	}
	assert.False(t, guard.Same("", ""))
	assert.False(t, guard.Same("S1", "S10"))
}
