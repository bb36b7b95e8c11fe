package rest

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

func filterRig(t testing.TB) (*kindServer, *resource.View) {
	t.Helper()
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), proof.Claims), Ring: 64})
	require.NoError(t, err)
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		for i := range 12 {
			m := &api.Machine{Name: fmt.Sprintf("m%02d", i), Address: fmt.Sprintf("10.0.0.%d", i+1), Runnable: i%2 == 0,
				Pool: []string{"a", "b", "c"}[i%3], CurrentTask: -1, HardwareAddrs: []string{fmt.Sprintf("52:54:00:00:00:%02x", i)},
				Params: resource.Params{"cores": float64(i), "tags": []any{fmt.Sprint("t", i%4), "all"}}}
			if i < 3 {
				m.Params, m.Meta = resource.Params{}, map[string]string{"color": "red"}
			}
			if err := api.Machines.Create(tx, m); err != nil {
				return err
			}
		}
		return api.ParamDefs.Create(tx, &api.Param{Name: "cores"})
	}))
	return &kindServer{&server{cfg: Config{DB: db}}, api.Machines}, db.View()
}

func pick(t testing.TB, h *kindServer, v *resource.View, raw string) []string {
	t.Helper()
	values, err := url.ParseQuery(raw)
	require.NoError(t, err)
	q, err := parseQuery(values)
	require.NoError(t, err)
	f := h.fieldsOf(h.kind, v)
	require.NoError(t, f.check(&q), raw)
	var found []resource.Object
	for o := range h.candidates(v, f, q) {
		if q.holds(f, o) {
			found = append(found, o)
		}
	}
	h.order(f, q, found)
	names := []string{}
	for _, o := range found {
		names = append(names, o.Val.(*api.Machine).Name)
	}
	if len(q.sort) == 0 {
		slices.Sort(names)
	}
	return names
}

func TestFilters(t *testing.T) {
	t.Parallel()
	h, v := filterRig(t)
	for raw, want := range map[string][]string{
		"Name=m01":                              {"m01"},
		"Name=Eq(m01)&Pool=b":                   {"m01"},
		"Name=m01&Name=m02":                     {"m01", "m02"},
		"Name=Re(^m1)":                          {"m10", "m11"},
		"Name=Lt(m02)":                          {"m00", "m01"},
		"Name=Gte(m10)":                         {"m10", "m11"},
		"Name=In(m03,m04,x)":                    {"m03", "m04"},
		"Name=Nin(m03,m04)&Name=Ne(m05)&Pool=a": {"m00", "m03", "m06", "m09"},
		"Name=Between(m03,m05)":                 {"m03", "m04", "m05"},
		"Name=Except(m01,m10)":                  {"m00", "m11"},
		"Address=Lte(10.0.0.2)":                 {"m00", "m01"},
		"Address=Gt(10.0.0.10)":                 {"m10", "m11"},
		"HardwareAddr=52:54:00:00:00:0A,x":      {"m10"},
		"HardwareAddr=Eq(52:54:00:00:00:0B)":    {"m11"},
		"cores=Gte(10)":                         {"m10", "m11"},
		"cores=Between(9,10)":                   {"m09", "m10"},
		"tags=t3&Pool=a":                        {"m03"},
		"tags=Ne(all)":                          {"m00", "m01", "m02"},
		"color=red&Pool=a":                      {"m00"},
		"Meta.color=red&Runnable=false":         {"m01"},
		"Owner=&Pool=Eq(b)&Runnable=true":       {"m04", "m10"},
		"Params=cores&Pool=a&Runnable=true":     {"m06"},
		"Available=true&Key=Re(^$)":             {},
		"Pool=c&sort=cores&reverse=true":        {"m11", "m08", "m05", "m02"},
		"cores=Gt(7)&sort=Pool&sort=cores":      {"m09", "m10", "m08", "m11"},
	} {
		assert.Equal(t, want, pick(t, h, v, raw), raw)
	}
}

// naive evaluates one condition on a name, written out anew.
func naive(name, op, a, b string) bool {
	switch op {
	case "Eq":
		return name == a
	case "Ne":
		return name != a
	case "Lt":
		return name < a
	case "Lte":
		return name <= a
	case "Gt":
		return name > a
	case "Gte":
		return name >= a
	case "Between":
		return a <= name && name <= b
	case "Except":
		return name < a || name > b
	case "In":
		return name == a || name == b
	}
	return name != a && name != b
}

func TestFiltersAgainstNaive(t *testing.T) {
	t.Parallel()
	h, v := filterRig(t)
	all := pick(t, h, v, "")
	require.Len(t, all, 12)
	for _, op := range []string{"Eq", "Ne", "Lt", "Lte", "Gt", "Gte", "Between", "Except", "In", "Nin"} {
		for _, a := range append(all, "m", "z") {
			b, arg := "m07", a
			if slices.Contains([]string{"Between", "Except", "In", "Nin"}, op) {
				arg += "," + b
			}
			want := slices.DeleteFunc(slices.Clone(all), func(n string) bool { return !naive(n, op, a, b) })
			assert.Equal(t, want, pick(t, h, v, "Name="+op+"("+arg+")"), op+arg)
		}
	}
}

func FuzzFilter(f *testing.F) {
	h, v := filterRig(f)
	for _, s := range []string{"Name=Re(a", "cores=Between(1,2)", "Name=In(,)", "Meta.color=red", "sort=Name&limit=1", "Except=Except(,)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		values, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		q, err := parseQuery(values)
		fs := h.fieldsOf(h.kind, v)
		if err != nil || fs.check(&q) != nil {
			return
		}
		n := 0
		for o := range h.kind.Each(v) {
			if q.holds(fs, o) {
				n++
			}
		}
		m := 0 // the index must not lose or add any
		for o := range h.candidates(v, fs, q) {
			if q.holds(fs, o) {
				m++
			}
		}
		require.Equal(t, n, m, raw)
	})
}

func FuzzPatch(f *testing.F) {
	f.Add([]byte(`[{"op":"test","path":"/Name","value":"m"},{"op":"replace","path":"/Name","value":"n"}]`))
	f.Add([]byte(`[{"op":"move","from":"/Params","path":"/Params/a"}]`))
	f.Add([]byte(`[{"op":"copy","from":"","path":"/Params/a"}]`))
	f.Add([]byte(`[{"op":"remove","path":"/Tasks/-1"}]`))
	f.Add([]byte(`[{"op":"test","path":""},{"op":"test","path":"","value":null}]`))
	h, v := filterRig(f)
	o, err := h.kind.Lookup(v, "Name:m03")
	require.NoError(f, err)
	before := string(o.JSON)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parsePatch(data)
		if err != nil || p.refuseFields(h.kind) != nil {
			return
		}
		out, err := p.apply(o.JSON)
		require.Equal(t, before, string(o.JSON), "the stored object is shared")
		if err == nil {
			_, _ = h.kind.Decode(out)
		}
	})
}
