package claim_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"drpd/pkg/api"
	"drpd/pkg/auth/claim"
)

func of(scope, action, specific string) api.Claim {
	return api.Claim{Scope: scope, Action: action, Specific: specific}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scope, action, specific string // the claim
		ask                     string // scope action specific
		want                    bool
	}{
		{"*", "*", "*", "machines delete a", true},
		{"*", "*", "*", "audit list ", true},
		{"*", "*", "*", "machines action:poweroff a", true},
		{"*", "*", "*", "info get ", true},
		{"", "", "", "machines get a", false},
		{"", "", "", "machines list ", false},
		{"*", "get", "*", "machines get a", true},
		{"*", "get", "*", "machines list a", false},
		{"*", "get,list", "*", "audit list ", false},
		{"audit", "get,list", "*", "audit list ", true},
		{"*", "*", "a", "machines delete a", true},
		{"*", "*", "a", "machines delete b", false},
		{"*", "*", "a", "audit get a", false},
		{"machines", "*", "*", "machines getSecure a", true},
		{"machines", "*", "*", "bootenvs get a", false},
		{"machines", "*", "*", "machine get a", false},
		{"machines,bootenvs", "get", "*", "bootenvs get b", true},
		{"machines, bootenvs ", "get", "*", "bootenvs get b", true},
		{"machines,bootenvs", "get", "*", "stages get b", false},
		{"machines,*", "get", "*", "stages get b", true},
		{"machines", "get,list", "*", "machines list a", true},
		{"machines", " get , list ", "*", "machines list a", true},
		{"machines", "get,list", "*", "machines create a", false},
		{"machines", "get,*", "*", "machines create a", true},
		{"machines", "get", "a,b", "machines get b", true},
		{"machines", "get", "a, b", "machines get b", true},
		{"machines", "get", "a,b", "machines get c", false},
		{"machines", "get", "a,b", "machines get a,b", false},
		{"machines", "get", "a,*", "machines get c", true},
		{"machines", "get", "Name:n1", "machines get n1", false},
		{"machines", "get", "", "machines get a", false},
		{"machines", "get", "a", "machines get ", false},
		{"machines", "update", "*", "machines update:/Name a", true},
		{"machines", "update", "*", "machines update:/Params/x a", true},
		{"machines", "update", "*", "machines updateSecure a", false},
		{"machines", "update", "*", "machines updateTaskList a", false},
		{"machines", "update:", "*", "machines update:/Foo/Bar a", true},
		{"machines", "update:/", "*", "machines update:/Foo a", false},
		{"machines", "update:/Params", "*", "machines update:/Params/x a", true},
		{"machines", "update:/Params", "*", "machines update:/Params a", true},
		{"machines", "update:/Params", "*", "machines update:/ParamsToo a", false},
		{"machines", "update:/Params", "*", "machines update:/Name a", false},
		{"machines", "update:/Params", "*", "machines update a", false},
		{"machines", "update:/Params/x", "*", "machines update:/Params/x a", true},
		{"machines", "update:/Params/x", "*", "machines update:/Params/xy a", false},
		{"machines", "update:/Params/x", "*", "machines update:/Params a", false},
		{"machines", "update:/Params/a~1b", "*", "machines update:/Params/a~1b a", true},
		{"machines", "update:/Params/a~1b", "*", "machines update:/Params/a~1c a", false},
		{"machines", "update:/Params/a", "*", "machines update:/Params/a~1b a", false},
		{"machines", "update:/Name,update:/Meta", "*", "machines update:/Meta/color a", true},
		{"machines", "update:/Name,update:/Meta", "*", "machines update:/Runnable a", false},
		{"machines", "action", "*", "machines action:poweron a", true},
		{"machines", "action", "*", "machines actions a", false},
		{"machines", "actions", "*", "machines action:poweron a", false},
		{"machines", "action:poweron", "*", "machines action:poweron a", true},
		{"machines", "action:poweron", "*", "machines action:poweroff a", false},
		{"machines", "action:poweron", "*", "machines action:poweronce a", false},
		{"machines", "action:poweron", "*", "machines action a", false},
		{"machines", "action:poweron,action:poweroff", "*", "machines action:poweroff a", true},
		{"machines", "getSecure", "*", "machines get a", false},
		{"machines", "get", "*", "machines getSecure a", false},
		{"machines", "token", "a", "machines token a", true},
		{"machines", "token", "a", "machines token b", false},
		{"users", "token,password", "*", "users password ann", true},
		{"users", "token", "*", "users password ann", false},
		{"jobs", "log", "*", "jobs log j", true},
		{"jobs", "get", "*", "jobs log j", false},
		{"events", "post", "*", "events create cluster", true},
		{"files", "post", "*", "files create a/b", true},
		{"files", "post", "a", "files create a/b", false},
		{"prefs", "post", "*", "preferences create defaultStage", true},
		{"prefs", "get", "*", "preferences get defaultStage", true},
		{"machines", "Get", "*", "machines get a", false},
		{"Machines", "get", "*", "machines get a", false},
	} {
		ask := strings.SplitN(c.ask, " ", 3)
		s := claim.Compile([]api.Claim{of(c.scope, c.action, c.specific)})
		assert.Equal(t, c.want, s.Covers(ask[0], ask[1], ask[2]), "claim %q %q %q asked %q", c.scope, c.action, c.specific, c.ask)
	}
	assert.False(t, (*claim.Set)(nil).Covers("machines", "get", "a"))
}

func TestContains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b api.Claim
		want bool
	}{
		{of("*", "*", "*"), of("*", "*", "*"), true},
		{of("*", "*", "*"), of("audit", "get", "*"), true},
		{of("*", "*", "*"), of("", "", ""), true},
		{of("", "", ""), of("*", "*", "*"), false},
		{of("*", "get", "*"), of("audit", "get", "*"), false},
		{of("machines", "*", "*"), of("bootenvs", "*", "*"), false},
		{of("machines", "*", "*"), of("*", "*", "*"), false},
		{of("machines", "*", "*"), of("machines", "delete", "a"), true},
		{of("machines", "delete", "a"), of("machines", "*", "*"), false},
		{of("machines", "delete", "a"), of("machines", "delete", "*"), false},
		{of("machines", "delete", "a,b"), of("machines", "delete", "a"), true},
		{of("machines", "delete", "a"), of("machines", "delete", "a,b"), false},
		{of("machines", "delete", "a"), of("machines", "delete", "b"), false},
		{of("machines", "get,list", "*"), of("machines", "*", "*"), false},
		{of("machines", "get,list", "*"), of("machines", "list", "*"), true},
		{of("machines", "update", "*"), of("machines", "update:/Foo/Bar", "a"), true},
		{of("machines", "update:/Foo", "*"), of("machines", "update:/Foo/Bar", "a"), true},
		{of("machines", "update:/Foo/Bar", "*"), of("machines", "update:/Foo", "a"), false},
		{of("machines", "update:/Foo", "*"), of("machines", "update", "a"), false},
		{of("machines", "update:/", "*"), of("machines", "update:/Foo", "a"), false},
		{of("machines", "action", "*"), of("machines", "action:x", "*"), true},
		{of("machines", "action:x", "*"), of("machines", "action", "*"), false},
		{of("machines,stages", "get", "*"), of("stages,machines", "get", "a"), true},
		{of("machines,stages", "get", "*"), of("stages,users", "get", "a"), false},
	} {
		got := claim.Contains([]*claim.Set{claim.Compile([]api.Claim{c.a})}, []api.Claim{c.b})
		assert.Equal(t, c.want, got, "%v contains %v", c.a, c.b)
	}
	two := []*claim.Set{claim.Compile([]api.Claim{of("machines", "get", "*")}), claim.Compile([]api.Claim{of("machines", "list", "*")})}
	assert.True(t, claim.Contains(two, []api.Claim{of("machines", "get,list", "*")}), "each part is covered by one of them")
	assert.False(t, claim.Contains(nil, []api.Claim{of("machines", "get", "*")}))
	assert.True(t, claim.Contains(nil, nil))
}

func TestProblems(t *testing.T) {
	t.Parallel()
	known := claim.NewKnown([]string{"machines", "users", "jobs", "files"}, []string{"machines"})
	for _, c := range []struct {
		claim api.Claim
		want  string
	}{
		{of("*", "*", "*"), ""},
		{of("machines", "get,update:/Params,action:poweron,getSecure", "a"), ""},
		{of("users", "token,password", "*"), ""},
		{of("*", "token", "*"), ""},
		{of("info,audit", "get", "*"), ""},
		{of("files,isos", "post", "*"), ""},
		{of("machnies", "get", "*"), "No such scope 'machnies'"},
		{of("", "get", "*"), "No such scope ''"},
		{of("machines", "fly", "*"), "No such action 'fly'"},
		{of("*", "fly", "*"), "No such action 'fly'"},
		{of("users", "getSecure", "*"), "No such action 'getSecure'"},
		{of("machines", "", "*"), "No such action ''"},
		{of("machines", "get:/Name", "*"), "No such action 'get:/Name'"},
		{of("machines", "update:Name", "*"), "No such action 'update:Name'"},
		{of("machines,x", "y", "*"), "No such action 'y'; No such scope 'x'"},
		{of("machines", strings.Repeat("get,", 1000)+"get", strings.Repeat("a,", 1000)+"a"),
			"The claims name more than 100000 combinations of scope, action and object"},
	} {
		assert.Equal(t, c.want, strings.Join(known.Problems([]api.Claim{c.claim}), "; "), "%.80v", c.claim)
	}
}

// FuzzClaims: what one claim contains it also covers.
func FuzzClaims(f *testing.F) {
	f.Add("machines", "update", "*", "machines", "update:/Params/a", "x")
	f.Add("*", "get,list", "a,b", "users", "get", "a")
	f.Add(" , ", "*,", "*", "", ":", "/")
	f.Fuzz(func(t *testing.T, scope, action, specific, s, a, k string) {
		for _, part := range []string{s, a, k} {
			if strings.ContainsAny(part, ",*") || strings.TrimSpace(part) != part {
				t.Skip("asks for several things")
			}
		}
		if s == "prefs" || a == "post" {
			t.Skip("spelled otherwise by callers")
		}
		set := claim.Compile([]api.Claim{of(scope, action, specific)})
		contains := claim.Contains([]*claim.Set{set}, []api.Claim{of(s, a, k)})
		if covers := set.Covers(s, a, k); contains != covers {
			t.Errorf("%q %q %q: contains %q %q %q %v, covers %v", scope, action, specific, s, a, k, contains, covers)
		}
	})
}
