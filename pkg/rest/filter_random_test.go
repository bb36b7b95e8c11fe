package rest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
)

// plainOf are the values of a machine under a key, and how they compare,
// written out anew.
func plainOf(m *api.Machine, key string) ([]string, func(a, b string) int) {
	number := func(a, b string) int {
		x, _ := strconv.ParseFloat(a, 64)
		y, _ := strconv.ParseFloat(b, 64)
		return int(x) - int(y)
	}
	switch key {
	case "Name":
		return []string{m.Name}, strings.Compare
	case "Pool":
		return []string{m.Pool}, strings.Compare
	case "Runnable":
		return []string{strconv.FormatBool(m.Runnable)}, strings.Compare
	case "CurrentTask":
		return []string{strconv.Itoa(m.CurrentTask)}, number
	case "Address":
		return []string{m.Address}, func(a, b string) int { return netip.MustParseAddr(a).Compare(netip.MustParseAddr(b)) }
	case "HardwareAddr":
		return m.HardwareAddrs, strings.Compare
	case "cores":
		if v, ok := m.Params["cores"].(float64); ok {
			return []string{strconv.Itoa(int(v))}, number
		}
	case "tags":
		var out []string
		if list, ok := m.Params["tags"].([]any); ok {
			for _, v := range list {
				out = append(out, v.(string))
			}
		}
		return out, strings.Compare
	case "Meta.color":
		if v, ok := m.Meta["color"]; ok {
			return []string{v}, strings.Compare
		}
	}
	return nil, strings.Compare
}

// drawn are values to draw from, by key.
var drawn = map[string][]string{
	"Name": {"m00", "m03", "m07", "m11", "x"}, "Pool": {"a", "b", "c", "d"}, "Runnable": {"true", "false"},
	"CurrentTask": {"-1", "0", "3"}, "Address": {"10.0.0.2", "10.0.0.9", "10.0.0.10", "10.0.0.99"},
	"HardwareAddr": {"52:54:00:00:00:03", "52:54:00:00:00:0a", "00:00:00:00:00:00"},
	"cores":        {"3", "9", "10", "11", "40"}, "tags": {"t1", "t3", "all", "none"}, "Meta.color": {"red", "blue"},
}

type drawnFilter struct {
	key, op string
	args    []string
}

func (d drawnFilter) String() string { return d.op + "(" + strings.Join(d.args, ",") + ")" }

func (d drawnFilter) holds(m *api.Machine) bool {
	values, cmp := plainOf(m, d.key)
	in := func(v string) bool {
		is := slices.ContainsFunc(d.args, func(a string) bool { return cmp(v, a) == 0 })
		n := cmp(v, d.args[0])
		switch d.op {
		case "Lt":
			return n < 0
		case "Lte":
			return n <= 0
		case "Gt":
			return n > 0
		case "Gte":
			return n >= 0
		case "Between", "Except":
			return n >= 0 && cmp(v, d.args[1]) <= 0
		}
		return is // Eq, Ne, In, Nin
	}
	return slices.ContainsFunc(values, in) != slices.Contains([]string{"Ne", "Nin", "Except"}, d.op)
}

func draw(r *rand.Rand, key string) drawnFilter {
	ops := []string{"Eq", "Ne", "Lt", "Lte", "Gt", "Gte", "Between", "Except", "In", "Nin"}
	d := drawnFilter{key: key, op: ops[r.IntN(len(ops))]}
	n := map[string]int{"Between": 2, "Except": 2, "In": 1 + r.IntN(3), "Nin": 1 + r.IntN(3)}[d.op]
	for range max(n, 1) {
		d.args = append(d.args, drawn[key][r.IntN(len(drawn[key]))])
	}
	return d
}

// TestRandomFilters: several keys are all wanted, several filters of one key
// are choices, and an index finds what comparing finds.
func TestRandomFilters(t *testing.T) {
	t.Parallel()
	h, v := filterRig(t)
	keys := []string{"Name", "Pool", "Runnable", "CurrentTask", "Address", "HardwareAddr", "cores", "tags", "Meta.color"}
	r := rand.New(rand.NewPCG(1, 2))
	hits := 0
	for range 600 {
		query, byKey := url.Values{}, map[string][]drawnFilter{}
		for range 1 + r.IntN(3) {
			d := draw(r, keys[r.IntN(len(keys))])
			query.Add(d.key, d.String())
			byKey[d.key] = append(byKey[d.key], d)
		}
		want := []string{}
		for m := range api.Machines.All(v) {
			all := true
			for _, choices := range byKey {
				all = all && slices.ContainsFunc(choices, func(d drawnFilter) bool { return d.holds(m) })
			}
			if all {
				want = append(want, m.Name)
			}
		}
		slices.Sort(want)
		require.Equal(t, want, pick(t, h, v, query.Encode()), fmt.Sprint(byKey))
		hits += len(want)
	}
	require.Greater(t, hits, 500, "the filters drawn find something")
}
