package api

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kind  resource.Any
		field string
		good  []string
		bad   []string
	}{
		{Tasks, "Name", []string{"a", "web server-1.2_x", "Übung"}, []string{"1a", "a/b", "-a", "a@b"}},
		{Machines, "Name", []string{"1a", "web1.example.com"}, []string{"a/b", "-a", ".a"}},
		{Pools, "Id", []string{"1a", "default"}, []string{"a/b"}},
		{Users, "Name", []string{"a@b.c"}, []string{"1a", "a/b"}},
		{ParamDefs, "Name", []string{"a/b c"}, []string{"/a", "1a", "a@b"}},
		{Endpoints, "Id", []string{"aa:bb:cc", "1:2"}, []string{":a", "a/b"}},
		{Templates, "ID", []string{"a.tmpl", "1/a"}, []string{"/a"}},
	} {
		try := func(name string) error {
			db := openKinds(t, mem.New(mem.Config{}))
			val, err := tc.kind.Decode([]byte(`{"` + tc.field + `":"` + name + `"}`))
			require.NoError(t, err)
			return db.Update(t.Context(), func(tx *resource.Tx) error { return tc.kind.CreateAny(tx, val) })
		}
		for _, name := range tc.good {
			assert.NoError(t, try(name), "%s %s", tc.kind.KindName(), name)
		}
		for _, name := range tc.bad {
			assert.Equal(t, resource.Invalid, resource.CodeOf(try(name)), "%s %s", tc.kind.KindName(), name)
			assert.ErrorContains(t, try(name), "Invalid "+tc.field+" `"+name+"`")
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	net := `"Subnet":"10.0.0.1/24","ActiveStart":"10.0.0.10","ActiveEnd":"10.0.0.20"`
	for _, tc := range []struct {
		kind    resource.Any
		json    string
		problem string // "" means it is saved
	}{
		{Machines, `{"Name":"m","Arch":"aarch64"}`, ""},
		{Machines, `{"Name":"m","Arch":"vax"}`, "Unsupported arch vax"},
		{Machines, `{"Name":"m","Profiles":["a","a"]}`, `profile "a" is listed twice`},
		{Machines, `{"Name":"m","HardwareAddrs":["52:54"]}`, "Invalid Hardware Address `52:54`"},
		{Machines, `{"Name":"m","Tasks":["stage:a","mount:b"]}`, "Invalid Task `mount:b`"},
		{Machines, `{"Name":"m","Params":{"1":2}}`, "Invalid Param Name `1`"},
		{Tasks, `{"Name":"t","Templates":[{"Name":"a","Contents":"x","Meta":{"OS":"linux, windows"}}]}`, ""},
		{Tasks, `{"Name":"t","Templates":[{"Name":"a","Contents":"x","Meta":{"OS":"beos"}}]}`, "Invalid OS value beos"},
		{Tasks, `{"Name":"t","Templates":[{"Name":"a","Contents":"x","Meta":{"OS":"linux"}},{"Name":"b","Contents":"x"}]}`, "1 of 2 templates have Meta.OS"},
		{Tasks, `{"Name":"t","Templates":[{"Name":"a"}]}`, "Template[0] a must have an ID, a Link or Contents"},
		{Tasks, `{"Name":"t","Templates":[{"Name":"a","ID":"x","Contents":"y"}]}`, "has both an ID and Contents"},
		{Tasks, `{"Name":"t","Templates":[{"Name":"a","ID":"x"},{"Name":"a","ID":"y"}]}`, "Template 0 and 1 have the same name a"},
		{Stages, `{"Name":"s","Templates":[{"Name":"a","ID":"x"}]}`, "Template[0] a is missing a Path"},
		{BootEnvs, `{"Name":"b","Loaders":{"vax":"x"}}`, "vax is not a supported loader type"},
		{BootEnvs, `{"Name":"b","OS":{"SupportedArchitectures":{"vax":{}}}}`, "vax is not a supported architecture"},
		{Subnets, `{"Name":"s",` + net + `}`, ""},
		{Subnets, `{"Name":"s","ActiveLeaseTime":59,` + net + `}`, "ActiveLeaseTime must be greater than or equal to 60 seconds, not 59"},
		{Subnets, `{"Name":"s","ReservedLeaseTime":7199,` + net + `}`, "ReservedLeaseTime must be greater than or equal to 7200 seconds, not 7199"},
		{Subnets, `{"Name":"s","Proxy":true,"Unmanaged":true,` + net + `}`, "Unmanaged and Proxy cannot both be true"},
		{Subnets, `{"Name":"s","Pickers":["dice"],` + net + `}`, `Pickers: "dice" is not known`},
		{Subnets, `{"Name":"s","Subnet":"10.9.128.1/17","ActiveStart":"10.9.200.1","ActiveEnd":"10.9.200.2"}`, "overlaps with subnet taken, 10.9.0.1/16"},
		{Reservations, `{"Addr":"10.9.0.0","Token":"52:54:00:00:00:02"}`, "is the network or broadcast address of subnet taken"},
		{Reservations, `{"Addr":"10.9.0.8","Token":"52:54:00:00:00:01"}`, "52:54:00:00:00:01 has reservation 10.9.0.7 already"},
		{Reservations, `{"Addr":"10.9.0.8","Token":"52:54:00:00:00:01","Scoped":true}`, ""},
		{Reservations, `{"Addr":"10.8.0.8","Token":"52:54:00:00:00:02","Scoped":true}`, "a scoped reservation needs a subnet"},
		{Tenants, `{"Name":"t","Members":{"shoes":[]}}`, `there is no kind "shoes"`},
		{Roles, `{"Name":"r","Claims":[{"scope":"machines","action":"","specific":"*"}]}`, "Claims[0].action is empty"},
		{Triggers, `{"Name":"t","TriggerProvider":"p","Blueprint":"b","QueueMode":true,"AllInFilter":true}`, "exclude each other"},
		{Batches, `{}`, "WorkOrderTemplate is empty"},
		{Alerts, `{"Name":"a","Level":"LOUD"}`, `Level "LOUD" is not known`},
		{ParamDefs, `{"Name":"p","Schema":{"type":"string","default":7}}`, "Error in default value"},
		{ParamDefs, `{"Name":"p","Schema":{"type":"shoe"}}`, "Schema: "},
		{ParamDefs, `{"Name":"p","Schema":{"$ref":"file:///etc/passwd"}}`, "is outside the schema"},
	} {
		db := openKinds(t, mem.New(mem.Config{}))
		create(t, db, Subnets, &Subnet{Name: "taken", Subnet: "10.9.0.1/16", ActiveStart: "10.9.0.10", ActiveEnd: "10.9.0.20"})
		create(t, db, Reservations, &Reservation{Addr: "10.9.0.7", Token: "52:54:00:00:00:01"})
		val, err := tc.kind.Decode([]byte(tc.json))
		require.NoError(t, err)
		err = db.Update(t.Context(), func(tx *resource.Tx) error { return tc.kind.CreateAny(tx, val) })
		if tc.problem == "" {
			assert.NoError(t, err, tc.json)
			continue
		}
		assert.Equal(t, resource.Invalid, resource.CodeOf(err), tc.json)
		assert.ErrorContains(t, err, tc.problem)
	}
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		schema string
		good   any
		bad    any
	}{
		{`{"type":"integer","minimum":0,"exclusiveMinimum":true}`, 1.0, 0.0}, // draft 4
		{`{"type":"integer","exclusiveMinimum":0}`, 1.0, 0.0},                // draft 6 and later
		{`{"$schema":"http://json-schema.org/draft-04/schema#","type":"string"}`, "a", 1.0},
		{`{"type":"array","items":[{"type":"string"}],"additionalItems":false}`, []any{"a"}, []any{"a", "b"}},
		{`{"type":"string","readonly":true,"render":"password","format":"shoe"}`, "a", nil}, // unknown words
		{`{"type":"object","required":["a"]}`, map[string]any{"a": 1.0}, map[string]any{}},
	} {
		p, err := ParamDefs.Decode([]byte(`{"Name":"p","Schema":` + tc.schema + `}`))
		require.NoError(t, err)
		db := openKinds(t, mem.New(mem.Config{}))
		create(t, db, ParamDefs, p)
		stored, err := ParamDefs.Get(db.View(), "p")
		require.NoError(t, err)
		require.NotNil(t, stored.compiled, "no compilation at each check")
		assert.Empty(t, stored.Check(tc.good), tc.schema)
		assert.NotEmpty(t, stored.Check(tc.bad), tc.schema)
	}
}

func TestInUse(t *testing.T) {
	t.Parallel()
	db := openKinds(t, mem.New(mem.Config{}))
	create(t, db, Tasks, &Task{Name: "t", Templates: []TemplateInfo{{Name: "x", ID: "tmpl"}}})
	create(t, db, Templates, &Template{ID: "tmpl"})
	create(t, db, BootEnvs, &BootEnv{Name: "unknown", OnlyUnknown: true})
	create(t, db, Stages, &Stage{Name: "s", Tasks: []string{"t"}})
	create(t, db, Workflows, &Workflow{Name: "w", Stages: []string{"s", "missing"}})
	create(t, db, Profiles, &Profile{Name: "p"})
	create(t, db, Profiles, &Profile{Name: GlobalProfile})
	m := &Machine{Name: "m", Uuid: "00000000-0000-4000-8000-000000000001", Profiles: []string{"p"}, BootEnv: "unknown"}
	create(t, db, Machines, m)
	create(t, db, Preferences, &Preference{Name: "unknownBootEnv", Value: "unknown"})

	for key, k := range map[string]resource.Any{"t": Tasks, "tmpl": Templates, "s": Stages, "p": Profiles, "unknown": BootEnvs, GlobalProfile: Profiles} {
		err := db.Update(t.Context(), func(tx *resource.Tx) error { return k.Delete(tx, key) })
		assert.Equal(t, resource.Conflict, resource.CodeOf(err), key)
	}
	w, _ := Workflows.Get(db.View(), "w")
	assert.False(t, w.Available)
	assert.Equal(t, []string{`stage "missing" does not exist`}, w.Errors)
	got, _ := Machines.Get(db.View(), m.Uuid)
	assert.Equal(t, []string{"BootEnv unknown does not allow Machine assignments, it has the OnlyUnknown flag."}, got.Errors)
}

func TestBatchMoves(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	b := &Batch{State: BatchCreated}
	require.NoError(t, b.Move(BatchSetup, now))
	require.NoError(t, b.Move(BatchRunning, now.Add(time.Second)))
	assert.Error(t, b.Move(BatchSetup, now))
	require.NoError(t, b.Move(BatchFinished, now.Add(time.Minute)))
	assert.Equal(t, Batch{State: BatchFinished, StartTime: now, EndTime: now.Add(time.Minute)}, *b)
	assert.Error(t, b.Move(BatchFailed, now))
}

func TestSubnetIsFoundByAddress(t *testing.T) {
	t.Parallel()
	db := openKinds(t, mem.New(mem.Config{}))
	create(t, db, Subnets, &Subnet{Name: "s", Subnet: "10.0.0.1/24", ActiveStart: "10.0.0.10", ActiveEnd: "10.0.0.20"})
	for _, tc := range []struct {
		index, addr string
		found       bool
	}{
		{"Address", "10.0.0.200", true}, {"Address", "10.0.1.1", false},
		{"ActiveAddress", "10.0.0.15", true}, {"ActiveAddress", "10.0.0.21", false}, {"ActiveAddress", "x", false},
	} {
		assert.Equal(t, tc.found, Subnets.One(db.View(), tc.index, tc.addr) != nil, "%s %s", tc.index, tc.addr)
	}
}
