package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/resource"
	"drpd/pkg/store"
	"drpd/pkg/store/mem"
)

// rounds is how many objects of each kind a property is tried on.
const rounds = 40

func eachKind(t *testing.T, fn func(t *testing.T, k resource.Any)) {
	t.Helper()
	for _, k := range Kinds() {
		t.Run(k.KindName(), func(t *testing.T) { t.Parallel(); fn(t, k) })
	}
}

func TestIsKind(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds() {
		assert.True(t, isKind(k.KindName()), k.KindName())
	}
	assert.False(t, isKind("machine"))
}

func TestEncodingIsStable(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k resource.Any) {
		for seed := range uint64(rounds) {
			first, err := json.Marshal(newGen(seed).object(k))
			require.NoError(t, err)
			back, err := k.Decode(first)
			require.NoError(t, err, string(first))
			again, err := json.Marshal(back)
			require.NoError(t, err)
			require.Equal(t, string(first), string(again))
		}
	})
}

// defaultOf calls the kind's Default, whatever its type, as a save does.
func defaultOf(k resource.Any, val any) {
	if c := k.CommonOf(val); c != nil && c.Meta == nil {
		c.Meta = map[string]string{}
	}
	fn := reflect.ValueOf(k).Elem().FieldByName("Default")
	if !fn.IsNil() {
		fn.Call([]reflect.Value{reflect.ValueOf(val)})
	}
}

func TestDefaultTwiceIsDefaultOnce(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k resource.Any) {
		for seed := range uint64(rounds) {
			val := newGen(seed).object(k)
			if seed == 0 {
				val, _ = k.Decode([]byte("{}"))
			}
			defaultOf(k, val)
			once, err := json.Marshal(val)
			require.NoError(t, err)
			defaultOf(k, val)
			twice, err := json.Marshal(val)
			require.NoError(t, err)
			require.Equal(t, string(once), string(twice))
		}
	})
}

func openKinds(t *testing.T, st store.Store) *resource.DB {
	t.Helper()
	db, err := resource.Open(t.Context(), resource.Config{Store: st, Kinds: Kinds()})
	require.NoError(t, err)
	return db
}

func create(t *testing.T, db *resource.DB, k resource.Any, val any) {
	t.Helper()
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error { return k.CreateAny(tx, val) }))
}

// A least object has what its kind asks for, and no more.
func least(t *testing.T, k resource.Any, n int) any {
	t.Helper()
	id := uuid.NewSHA1(uuid.Nil, []byte(fmt.Sprint(k.KindName(), n))).String()
	text, ok := map[string]string{
		"pools": `{"Id":"n%d"}`, "templates": `{"ID":"n%d"}`, "endpoints": `{"Id":"n%d"}`, "version_sets": `{"Id":"n%d"}`,
		"catalog_items": `{"Id":"n%d"}`, "contents": `{"meta":{"Name":"n%d"}}`, "files": `{"Path":"files/n%d"}`, "boot_records": `{"Mac":"n%d"}`, "media": `{"Dir":"n%d"}`,
		"jobs":        `{"State":"created"}`,
		"work_orders": `{"Blueprint":"b","Machine":"m"}`, "batches": `{"WorkOrderTemplate":{"Blueprint":"b","Machine":"m"}}`,
		"disk_proofs": `{}`, "disk_surveys": `{"Machine":"n%d"}`,
		"bmc_actions": `{}`, "callbacks": `{"Job":"n%d"}`, "plugin_calls": `{"Job":"n%d"}`, "triggers": `{"Name":"n%d","TriggerProvider":"p","Blueprint":"b"}`, "filters": `{"Name":"n%d","Object":"machines"}`,
		"plugins":      `{"Name":"n%d","Provider":"p"}`,
		"subnets":      `{"Name":"n%[1]d","Subnet":"10.0.%[1]d.1/24","ActiveStart":"10.0.%[1]d.2","ActiveEnd":"10.0.%[1]d.9"}`,
		"reservations": `{"Addr":"10.0.1.%[1]d","Token":"52:54:00:00:00:%02[1]d"}`, "leases": `{"Addr":"10.0.1.%d"}`,
	}[k.KindName()]
	if !ok {
		text = `{"Name":"n%d"}`
	}
	if strings.Contains(text, "%") {
		text = fmt.Sprintf(text, n)
	}
	val, err := k.Decode([]byte(text))
	require.NoError(t, err)
	if f := reflect.ValueOf(val).Elem().FieldByName("Uuid"); f.IsValid() {
		f.SetString(id)
	}
	return val
}

// What is created is what is read, after a restart too, and no collection that
// a reply shows is null.
func TestRoundTripThroughTheDB(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k resource.Any) {
		st := mem.New(mem.Config{})
		db := openKinds(t, st)
		virtual := reflect.ValueOf(k).Elem().FieldByName("Virtual").Bool()
		for n := 1; n <= 3; n++ {
			val := least(t, k, n)
			create(t, db, k, val)
			o, err := k.Lookup(db.View(), k.KeyOf(val))
			require.NoError(t, err)
			assert.NotContains(t, withoutAny(string(o.JSON)), "null", string(o.JSON))
			again, err := k.Decode(o.JSON)
			require.NoError(t, err)
			require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error { return k.ReplaceAny(tx, keepSecrets(val, again)) }))
			same, err := k.Lookup(db.View(), k.KeyOf(val))
			require.NoError(t, err)
			assert.JSONEq(t, string(o.JSON), string(same.JSON), "putting back what was read changes nothing")
			if virtual {
				continue
			}
			late, err := k.Lookup(openKinds(t, st).View(), k.KeyOf(val))
			require.NoError(t, err)
			assert.JSONEq(t, string(o.JSON), string(late.JSON))
		}
	})
}

// withoutAny drops what may hold any JSON, null too, and pointers of kinds
// that clients have seen as null before.
func withoutAny(s string) string {
	for _, f := range []string{`"Schema":null`, `"SetupWorkOrderTemplate":null`, `"PostWorkOrderTemplate":null`, `"sections":null`, `"Steps":null`} {
		s = strings.ReplaceAll(s, f, "")
	}
	return s
}

// keepSecrets copies what replies hide.
func keepSecrets(from, to any) any {
	a, b := reflect.ValueOf(from).Elem(), reflect.ValueOf(to).Elem()
	for _, name := range []string{"Secret", "PasswordHash"} {
		if f := a.FieldByName(name); f.IsValid() {
			b.FieldByName(name).Set(f)
		}
	}
	return to
}

// Index values are those of the field with the index's name, if there is one,
// and a lookup finds exactly the objects that have the value.
func TestIndexesReadTheFields(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k resource.Any) {
		for seed := range uint64(rounds) {
			val := newGen(seed).object(k)
			for _, x := range k.IndexInfos() {
				f := reflect.ValueOf(val).Elem().FieldByName(x.Name)
				if !f.IsValid() {
					continue
				}
				assert.ElementsMatch(t, naive(f), k.IndexValues(val, x.Name), x.Name)
			}
		}
		db := openKinds(t, mem.New(mem.Config{}))
		for n := 1; n <= 3; n++ {
			create(t, db, k, least(t, k, n))
		}
		for o := range k.Each(db.View()) {
			for _, name := range k.IndexNames() {
				for _, v := range k.IndexValues(o.Val, name) {
					assert.Equal(t, slowly(db.View(), k, name, v), quickly(db.View(), k, name, v), "%s=%s", name, v)
				}
			}
		}
	})
}

func naive(f reflect.Value) []string {
	out := []string{}
	switch v := f.Interface().(type) {
	case []string:
		return v
	case resource.Params:
		for name := range v {
			out = append(out, name)
		}
	case time.Time:
		if !v.IsZero() {
			out = append(out, v.UTC().Format(time.RFC3339Nano))
		}
	default:
		if s := fmt.Sprint(v); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func slowly(r resource.Reader, k resource.Any, index, value string) (keys []string) {
	for o := range k.Each(r) {
		if slices.Contains(k.IndexValues(o.Val, index), value) {
			keys = append(keys, o.Key)
		}
	}
	return keys
}

func quickly(r resource.Reader, k resource.Any, index, value string) (keys []string) {
	for o := range k.EachBy(r, index, value) {
		keys = append(keys, o.Key)
	}
	return keys
}

// Every kind has DRP's base indexes, and its first one is its key.
func TestBaseIndexes(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k resource.Any) {
		want := []string{"Key"}
		zero, _ := k.Decode([]byte("{}"))
		if k.CommonOf(zero) != nil {
			want = []string{"Key", "Available", "Valid", "ReadOnly", "Bundle", "Endpoint"}
		}
		assert.Subset(t, k.IndexNames(), want)
		val := least(t, k, 1)
		assert.Equal(t, []string{k.KeyOf(val)}, k.IndexValues(val, "Key"))
		for _, x := range k.IndexInfos() {
			assert.NotEmpty(t, x.Type, x.Name)
			assert.False(t, x.Scan && x.Unique, "%s: nothing would keep it unique", x.Name)
		}
		names := slices.Sorted(slices.Values(k.IndexNames()))
		assert.Equal(t, names, slices.Compact(slices.Clone(names)), "each index once")
	})
}

func TestReplyOfANewMachine(t *testing.T) {
	t.Parallel()
	db := openKinds(t, mem.New(mem.Config{}))
	m := &Machine{Name: "web1", Uuid: "00000000-0000-4000-8000-000000000001", Arch: "x86_64"}
	create(t, db, Machines, m)
	o, err := Machines.Lookup(db.View(), "Name:web1")
	require.NoError(t, err)
	assert.JSONEq(t, `{"Name":"web1","Uuid":"00000000-0000-4000-8000-000000000001","Address":"","HardwareAddrs":[],"BootEnv":"","Stage":"",
		"Workflow":"","Tasks":[],"CurrentTask":0,"CurrentJob":"","RetryTaskAttempt":0,"TaskErrorStacks":[],"Runnable":false,"Context":"",
		"Profiles":[],"Params":{},"OS":"","Arch":"amd64","Locked":false,"Fingerprint":{"SSNHash":"","CSNHash":"","CloudInstanceID":"",
		"SystemUUID":"","MemoryIds":[]},"Pool":"default","PoolAllocated":false,"PoolStatus":"Free","WorkflowComplete":false,
		"WorkOrderMode":false,"Pipeline":"","PendingWorkOrders":0,"RunningWorkOrders":0,
		"Partial":false,"Description":"","Validated":true,"Available":true,"Errors":[],"ReadOnly":false,
		"Bundle":"","Endpoint":"","Meta":{}}`, string(o.JSON))
	assert.True(t, bytes.Contains(o.JSON, []byte(`"Errors":[]`)))
}
