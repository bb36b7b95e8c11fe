package auth_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/auth/password"
	"drpd/pkg/auth/token"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

const (
	mine  = "11111111-1111-4111-8111-111111111111"
	other = "22222222-2222-4222-8222-222222222222"
	job1  = "33333333-3333-4333-8333-333333333333"
)

// rig is an Auth over objects of which each test uses some.
type rig struct {
	db   *resource.DB
	auth *auth.Auth
	now  time.Time
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	var err error
	r.db, err = resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), proof.Claims), Hooks: auth.Hooks(api.Kinds()), Ring: 256})
	require.NoError(t, err)
	r.auth, err = auth.New(auth.Config{DB: r.db, Keys: [][]byte{bytes.Repeat([]byte("k"), 32)},
		Scrypt: password.Params{LogN: 4, R: 8, P: 1}, Now: func() time.Time { return r.now }})
	require.NoError(t, err)
	role := func(name, scope, action, specific string) func(*resource.Tx) error {
		return func(tx *resource.Tx) error {
			return api.Roles.Create(tx, &api.Role{Name: name, Claims: []api.Claim{{Scope: scope, Action: action, Specific: specific}}})
		}
	}
	user := func(name string, roles ...string) func(*resource.Tx) error {
		return func(tx *resource.Tx) error {
			return api.Users.Create(tx, &api.User{Name: name, Roles: roles})
		}
	}
	for _, do := range []func(*resource.Tx) error{
		role("reader", "machines,profiles", "get,list", "*"), role("editor", "machines", "get,list,update:/Params", "*"),
		role("people", "users,roles,tenants,tasks", "*", "*"),
		user("root", auth.Superuser), user("ann", "reader", "editor"), user("bob", "reader"), user("chief", "people"), user("nobody"),
		func(tx *resource.Tx) error {
			return api.Machines.Create(tx, &api.Machine{Name: "mine", Uuid: mine, Profiles: []string{"outer"}})
		},
		func(tx *resource.Tx) error { return api.Machines.Create(tx, &api.Machine{Name: "other", Uuid: other}) },
		func(tx *resource.Tx) error {
			return api.Profiles.Create(tx, &api.Profile{Name: "outer", Profiles: []string{"inner"}})
		},
		func(tx *resource.Tx) error { return api.Profiles.Create(tx, &api.Profile{Name: "inner"}) },
		func(tx *resource.Tx) error { return api.Profiles.Create(tx, &api.Profile{Name: "foreign"}) },
		func(tx *resource.Tx) error {
			return api.Jobs.Create(tx, &api.Job{Uuid: job1, Machine: mine, State: api.JobRunning, Current: true})
		},
	} {
		r.put(t, do)
	}
	return r
}

func (r *rig) put(t testing.TB, fn func(tx *resource.Tx) error) {
	t.Helper()
	require.NoError(t, r.db.Update(t.Context(), fn))
}

func (r *rig) set(t testing.TB, pref, value string) {
	t.Helper()
	r.put(t, func(tx *resource.Tx) error {
		return api.Preferences.Put(tx, &api.Preference{Name: pref, Value: value})
	})
}

// with is a request with a token.
func with(text string) *http.Request {
	q := httptest.NewRequest(http.MethodGet, "/api/v3/machines", nil)
	q.Header.Set("Authorization", "Bearer "+text)
	return q
}

func (r *rig) who(t testing.TB, text string) auth.Identity {
	t.Helper()
	id, err := r.auth.Authenticate(t.Context(), with(text))
	require.NoError(t, err)
	return id
}

// as is the identity of a user's own token.
func (r *rig) as(t testing.TB, user string) auth.Identity {
	t.Helper()
	text, err := r.auth.UserToken(auth.Identity{}, user, 0, auth.Narrow{})
	require.NoError(t, err)
	return r.who(t, text)
}

// tokens makes one of each kind.
func (r *rig) tokens(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{}
	job, err := api.Jobs.Get(r.db.View(), job1)
	require.NoError(t, err)
	for name, mint := range map[string]func() (string, error){
		"user":    func() (string, error) { return r.auth.UserToken(r.as(t, "ann"), "ann", 0, auth.Narrow{}) },
		"granted": func() (string, error) { return r.auth.UserToken(r.as(t, "root"), "ann", 0, auth.Narrow{}) },
		"machine": func() (string, error) { return r.auth.MachineToken(auth.Identity{}, mine, 0) },
		"lent":    func() (string, error) { return r.auth.MachineToken(r.as(t, "root"), mine, 0) },
		"endless": func() (string, error) { return r.auth.AgentToken(auth.Identity{}, mine, auth.MaxTTL) },
		"boot":    func() (string, error) { return r.auth.BootToken(0) },
		"unknown": func() (string, error) { return r.auth.UnknownToken(0) },
		"profile": func() (string, error) { return r.auth.ProfileToken(auth.Identity{}, mine, "inner", time.Hour) },
		"job":     func() (string, error) { return r.auth.JobToken(auth.Identity{}, job, nil) },
	} {
		out[name], err = mint()
		require.NoError(t, err, name)
	}
	return out
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	all := []string{"user", "granted", "machine", "lent", "endless", "boot", "unknown", "profile", "job"}
	system := []string{"machine", "endless", "boot", "unknown", "profile", "job"}
	modifyJob := func(fn func(*api.Job)) func(*testing.T, *rig) {
		return func(t *testing.T, r *rig) {
			r.put(t, func(tx *resource.Tx) error {
				return api.Jobs.Modify(tx, job1, func(j *api.Job) error { fn(j); return nil })
			})
		}
	}
	for name, c := range map[string]struct {
		do    func(t *testing.T, r *rig)
		ended []string
	}{
		"nothing":          {func(*testing.T, *rig) {}, nil},
		"other machine":    {func(t *testing.T, r *rig) { require.NoError(t, r.auth.Revoke(t.Context(), "machines", other)) }, nil},
		"user's secret":    {func(t *testing.T, r *rig) { require.NoError(t, r.auth.Revoke(t.Context(), "users", "ann")) }, []string{"user", "granted"}},
		"grantor's secret": {func(t *testing.T, r *rig) { require.NoError(t, r.auth.Revoke(t.Context(), "users", "root")) }, []string{"granted", "lent"}},
		"machine's secret": {func(t *testing.T, r *rig) { require.NoError(t, r.auth.Revoke(t.Context(), "machines", mine)) }, []string{"machine", "lent", "endless", "profile", "job"}},
		"server's secret":  {func(t *testing.T, r *rig) { r.set(t, auth.PrefBaseSecret, "0123456789abcdef0123456789abcdef") }, all},
		"secret of grants": {func(t *testing.T, r *rig) { r.set(t, auth.PrefGrantorSecret, "x") }, system},
		"another pref":     {func(t *testing.T, r *rig) { r.set(t, "defaultStage", "none") }, nil},
		"password": {func(t *testing.T, r *rig) {
			require.NoError(t, r.auth.SetPassword(t.Context(), auth.Identity{}, "ann", "new"))
		}, []string{"user", "granted"}},
		"user is gone": {func(t *testing.T, r *rig) {
			r.put(t, func(tx *resource.Tx) error { return api.Users.Delete(tx, "ann") })
		}, []string{"user", "granted"}},
		"job ends":          {modifyJob(func(j *api.Job) { j.State = api.JobFinished }), []string{"job"}},
		"job is not newest": {modifyJob(func(j *api.Job) { j.Current = false }), []string{"job"}},
		"an hour passes":    {func(_ *testing.T, r *rig) { r.now = r.now.Add(time.Hour) }, []string{"user", "granted", "machine", "lent", "boot", "unknown", "profile"}},
		"three years pass":  {func(_ *testing.T, r *rig) { r.now = r.now.Add(auth.MaxTTL) }, all},
	} {
		for _, used := range []bool{false, true} { // before the change, so that it is in the cache
			r := newRig(t)
			toks := r.tokens(t)
			open := map[string]auth.Identity{}
			for kind, text := range toks {
				if used {
					open[kind] = r.who(t, text)
				}
			}
			c.do(t, r)
			var ended []string
			for _, kind := range all {
				_, err := r.auth.Authenticate(t.Context(), with(toks[kind]))
				if err != nil {
					require.ErrorIs(t, err, auth.ErrDenied, "%s: %s", name, kind)
					ended = append(ended, kind)
				}
				if id, ok := open[kind]; ok {
					_, again := r.auth.Refresh(id)
					assert.Equal(t, err == nil, again == nil, "%s: open connection of %s: %v", name, kind, again)
				}
			}
			assert.ElementsMatch(t, c.ended, ended, "%s, used %v", name, used)
		}
	}
}

func TestWhoMay(t *testing.T) {
	t.Parallel()
	const job2, order1, order2 = "44444444-4444-4444-8444-444444444444", "55555555-5555-4555-8555-555555555551", "55555555-5555-4555-8555-555555555552"
	r := newRig(t)
	toks := r.tokens(t)
	job, err := api.Jobs.Get(r.db.View(), job1)
	require.NoError(t, err)
	toks["elevated"], err = r.auth.JobToken(auth.Identity{}, job, []api.Claim{{Scope: "machines", Action: "get", Specific: "*"}})
	require.NoError(t, err)
	r.put(t, func(tx *resource.Tx) error {
		if err := api.Machines.Modify(tx, mine, func(m *api.Machine) error {
			m.CurrentJob, m.Address, m.HardwareAddrs = job1, "10.0.0.9", []string{"52:54:00:00:00:01"}
			return nil
		}); err != nil {
			return err
		}
		require.NoError(t, api.Blueprints.Create(tx, &api.Blueprint{Name: "b"}))
		for id, machine := range map[string]string{order1: mine, order2: other} {
			require.NoError(t, api.WorkOrders.Create(tx, &api.WorkOrder{Uuid: id, Machine: machine, Blueprint: "b"}))
		}
		require.NoError(t, api.Jobs.Create(tx, &api.Job{Uuid: job2, Machine: other, State: api.JobRunning, Current: true}))
		return api.Reservations.Create(tx, &api.Reservation{Addr: "10.0.0.8", Token: "52:54:00:00:00:02"})
	})
	for _, c := range []struct {
		who, scope, action, specific string
		want                         bool
	}{
		{"user", "machines", "get", mine, true},
		{"user", "machines", "update:/Params/x", mine, true},
		{"user", "machines", "update:/Name", mine, false},
		{"user", "users", "get", "ann", true},
		{"user", "users", "password", "ann", true},
		{"user", "users", "token", "ann", true},
		{"user", "users", "get", "root", false},
		{"user", "users", "update:/Roles", "ann", false},
		{"user", "audit", "list", "", false},
		{"machine", "machines", "get", mine, true},
		{"machine", "machines", "get", other, false},
		{"machine", "machines", "update:/Params/x", mine, true},
		{"machine", "machines", "updateSecure", mine, true},
		{"machine", "machines", "getSecure", mine, false},
		{"machine", "machines", "update:/Pool", mine, false},
		{"machine", "machines", "delete", mine, false},
		{"machine", "events", "create", "hello", true},
		{"machine", "reservations", "create", "10.0.0.9", true},
		{"machine", "reservations", "create", "10.0.0.7", false},
		{"machine", "reservations", "update:/Options", "10.0.0.8", false},
		{"machine", "jobs", "create", mine, true},
		{"machine", "jobs", "create", other, false},
		{"machine", "jobs", "get", job1, true},
		{"machine", "jobs", "log", job1, true},
		{"machine", "jobs", "get", job2, false},
		{"machine", "jobs", "log", job2, false},
		{"machine", "jobs", "actions", job2, false},
		{"machine", "work_orders", "get", order1, true},
		{"machine", "work_orders", "get", order2, false},
		{"machine", "users", "get", "ann", false},
		{"machine", "audit", "get", "x", false},
		{"machine", "profiles", "get", "inner", true},
		{"machine", "profiles", "get", "foreign", false},
		{"machine", "profiles", "update:/Params/x", "inner", false},
		{"boot", "whoami", "create", "", true},
		{"boot", "machines", "create", "", true},
		{"boot", "machines", "get", other, false},
		{"unknown", "machines", "create", "", true},
		{"unknown", "machines", "get", other, true},
		{"unknown", "machines", "list", other, true},
		{"unknown", "machines", "get", mine, false}, // it ran a job
		{"unknown", "machines", "update:/Name", other, false},
		{"unknown", "jobs", "create", other, false},
		{"profile", "profiles", "get", "inner", true},
		{"profile", "profiles", "update:/Params/x", "inner", true},
		{"profile", "profiles", "getSecure", "inner", true},
		{"profile", "profiles", "delete", "inner", false},
		{"profile", "profiles", "get", "outer", false},
		{"profile", "machines", "get", mine, false},
		{"profile", "params", "get", "x", true},
		{"job", "machines", "get", mine, true},
		{"job", "machines", "get", other, false},
		{"elevated", "machines", "get", other, true},
		{"elevated", "machines", "delete", other, false},
		{"elevated", "machines", "update:/Params/x", mine, true},
	} {
		assert.Equal(t, c.want, r.who(t, toks[c.who]).Allow(c.scope, c.action, c.specific), "%s: %s %s %s", c.who, c.action, c.scope, c.specific)
	}
	_, err = r.auth.ProfileToken(auth.Identity{}, mine, "foreign", time.Hour)
	assert.ErrorContains(t, err, "does not carry the profile")
	profile := r.who(t, toks["profile"])
	r.put(t, func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, mine, func(m *api.Machine) error { m.Profiles = nil; return nil })
	})
	profile, err = r.auth.Refresh(profile)
	require.NoError(t, err)
	assert.False(t, profile.Allow("profiles", "get", "inner"), "the machine does not carry it any more")
	assert.False(t, auth.Identity{}.Allow("machines", "get", mine))
	assert.False(t, auth.Identity{}.Contains(nil))
}

func TestNarrow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann, root, bob := r.as(t, "ann"), r.as(t, "root"), r.as(t, "bob")
	get := &api.Claim{Scope: "machines", Action: "get", Specific: mine}
	for name, c := range map[string]struct {
		by     auth.Identity
		user   string
		n      auth.Narrow
		err    string
		get    bool // mine
		update bool // params of mine
		list   bool
		passwd bool
	}{
		"all":                      {ann, "ann", auth.Narrow{}, "", true, true, true, true},
		"a role":                   {ann, "ann", auth.Narrow{Roles: []string{"reader"}}, "", true, false, true, false},
		"two roles":                {ann, "ann", auth.Narrow{Roles: []string{"reader", "editor"}}, "", true, true, true, false},
		"wider roles are dropped":  {ann, "ann", auth.Narrow{Roles: []string{"reader", "people", auth.Superuser}}, "", true, false, true, false},
		"only wider roles":         {ann, "ann", auth.Narrow{Roles: []string{"people", "none"}}, "the user has none of the roles", false, false, false, false},
		"a claim":                  {ann, "ann", auth.Narrow{Claim: get}, "", true, false, false, false},
		"a claim cannot widen":     {ann, "ann", auth.Narrow{Claim: &api.Claim{Scope: "*", Action: "*", Specific: "*"}}, "", true, true, true, false},
		"for another by root":      {root, "ann", auth.Narrow{}, "", true, true, true, true},
		"for another who may more": {bob, "ann", auth.Narrow{}, "bob may not give a token of ann", false, false, false, false},
		"of another, what both":    {bob, "ann", auth.Narrow{Roles: []string{"reader"}}, "", true, false, true, false},
		"of root":                  {ann, "root", auth.Narrow{}, "ann may not give a token of root", false, false, false, false},
		"any role by root":         {root, "root", auth.Narrow{Roles: []string{"reader"}}, "", true, false, true, false},
	} {
		text, err := r.auth.UserToken(c.by, c.user, 0, c.n)
		if c.err != "" {
			assert.ErrorContains(t, err, c.err, name)
			continue
		}
		require.NoError(t, err, name)
		id := r.who(t, text)
		got := []bool{id.Allow("machines", "get", mine), id.Allow("machines", "update:/Params/x", mine), id.Allow("machines", "list", mine), id.Allow("users", "password", c.user)}
		assert.Equal(t, []bool{c.get, c.update, c.list, c.passwd}, got, name)
		assert.True(t, id.Allow("users", "get", c.user), name)
		assert.False(t, id.Allow("users", "update:/Roles", c.user), name)

		again, err := r.auth.UserToken(id, c.user, 0, auth.Narrow{}) // a token from a token
		require.NoError(t, err, name)
		id = r.who(t, again)
		assert.Equal(t, got, []bool{id.Allow("machines", "get", mine), id.Allow("machines", "update:/Params/x", mine), id.Allow("machines", "list", mine), id.Allow("users", "password", c.user)}, name)
	}
	text, err := r.auth.UserToken(ann, "ann", 0, auth.Narrow{Roles: []string{"reader"}})
	require.NoError(t, err)
	narrow := r.who(t, text)
	_, err = r.auth.UserToken(narrow, "ann", 0, auth.Narrow{Roles: []string{"editor"}})
	assert.ErrorContains(t, err, "none of the roles")
	_, err = r.auth.UserToken(narrow, "ann", 0, auth.Narrow{Claim: &api.Claim{Scope: "machines", Action: "update", Specific: "*"}})
	assert.ErrorContains(t, err, "may not give")
	assert.ErrorContains(t, r.auth.SetPassword(t.Context(), narrow, "ann", "x"), "may not give")
	for _, ttl := range []time.Duration{time.Millisecond, -time.Hour, auth.MaxTTL + time.Second} {
		_, err = r.auth.UserToken(ann, "ann", ttl, auth.Narrow{})
		assert.ErrorContains(t, err, "is outside 1s..26280h0m0s", ttl)
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.auth.SetPassword(t.Context(), auth.Identity{}, "ann", "good"))
	login := func(user, pass string) error {
		q := httptest.NewRequest(http.MethodGet, "/", nil)
		q.SetBasicAuth(user, pass)
		_, err := r.auth.Authenticate(t.Context(), q)
		return err
	}
	require.NoError(t, login("ann", "good"))
	require.NoError(t, login("ann", "good"))
	assert.ErrorIs(t, login("ann", "bad"), auth.ErrDenied)
	assert.ErrorIs(t, login("bob", "good"), auth.ErrDenied, "bob has no password")
	assert.ErrorIs(t, login("ann", ""), auth.ErrAnonymous)
	r.put(t, func(tx *resource.Tx) error {
		return api.Users.Modify(tx, "ann", func(u *api.User) error { u.Meta = map[string]string{auth.AuthMethod: "ldap"}; return nil })
	})
	assert.ErrorIs(t, login("ann", "good"), auth.ErrDenied, "a plugin is to check it, though it was right a moment ago")
	var got []string
	for _, rec := range r.auth.Records(10, nil) {
		got = append(got, rec.Action+" "+rec.Actor)
	}
	assert.Equal(t, []string{"refused ann", "refused bob", "refused ann", "login ann"}, got, "a login that is known is not told again")
	for range 20 {
		err := login("ann", "bad")
		assert.Error(t, err)
	}
	assert.ErrorIs(t, login("ann", "bad"), auth.ErrTooMany)
	text, err := r.auth.UserToken(auth.Identity{}, "bob", 0, auth.Narrow{})
	require.NoError(t, err)
	r.now = r.now.Add(time.Minute)
	r.who(t, text)
	for range 20 {
		assert.Error(t, login("ann", "bad"))
	}
	r.who(t, text) // a token that was in use goes on
}

// BenchmarkBearer authenticates with a token that is in use, and asks what it
// allows.
func BenchmarkBearer(b *testing.B) {
	r := newRig(b)
	for name, mint := range map[string]func() (string, error){
		"user":    func() (string, error) { return r.auth.UserToken(auth.Identity{}, "ann", 0, auth.Narrow{}) },
		"machine": func() (string, error) { return r.auth.MachineToken(auth.Identity{}, mine, 0) },
	} {
		text, err := mint()
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			q := with(text)
			b.ReportAllocs()
			for b.Loop() {
				id, err := r.auth.Authenticate(b.Context(), q)
				if err != nil || !id.Allow("machines", "get", mine) {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkBasic authenticates with a password that was right a moment ago.
func BenchmarkBasic(b *testing.B) {
	r := newRig(b)
	require.NoError(b, r.auth.SetPassword(b.Context(), auth.Identity{}, "ann", "good"))
	q := httptest.NewRequest(http.MethodGet, "/", nil)
	q.SetBasicAuth("ann", "good")
	b.ReportAllocs()
	for b.Loop() {
		id, err := r.auth.Authenticate(b.Context(), q)
		if err != nil || !id.Allow("machines", "get", mine) {
			b.Fatal(err)
		}
	}
}

// FuzzBearer: no text but a token of ours is a caller.
func FuzzBearer(f *testing.F) {
	r := newRig(f)
	good := r.tokens(f)
	for _, text := range good {
		f.Add(text)
		f.Add(text[1:])
	}
	f.Fuzz(func(t *testing.T, text string) {
		r.now = r.now.Add(time.Minute) // so that the limit is not what refuses
		id, err := r.auth.Authenticate(t.Context(), with(text))
		if err != nil {
			return
		}
		for _, ok := range good {
			if ok == strings.TrimSpace(text) {
				return
			}
		}
		t.Errorf("%q is %s", text, fmt.Sprint(id.Name, id.Kind == token.User))
	})
}

// What an agent, whoever is unknown, and the holder of a profile's token may
// write is listed: fields and params that steer the server are not on it.
func TestWhatMachinesMayWrite(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	toks := r.tokens(t)
	var fields []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[api.Machine]()) {
		if !f.Anonymous {
			fields = append(fields, f.Name)
		}
	}
	open := []string{"Address", "Arch", "OS", "Description", "HardwareAddrs", "Fingerprint", "Runnable", "CurrentTask", "Meta"}
	declared := []string{"Name", "Address", "Arch", "OS", "Description", "HardwareAddrs", "Fingerprint", "Meta"}
	for _, f := range fields {
		if f == "Params" {
			continue
		}
		for _, who := range []string{"machine", "job"} {
			assert.Equal(t, slices.Contains(open, f), r.who(t, toks[who]).Allow("machines", "update:/"+f, mine), "%s: %s", who, f)
		}
		for _, who := range []string{"boot", "unknown"} {
			assert.Equal(t, slices.Contains(declared, f), r.who(t, toks[who]).MaySet("machines", "/"+f), "%s: %s", who, f)
		}
	}
	for path, want := range map[string]bool{"/Params/my~1own": true, "/Params/inventory~1data": true, "/Params/detected-bios-mode": true,
		"/Params/ipmi~1address": false, "/Params/callback~1callbacks": false, "/Params/classify~1classification-data": false,
		"/Params/my~1site~1task-list": false, "/Params/task-error-handlers": false, "/Params/disk~1protected/0": false,
		"/Params/disk-plan~1wipe": false, "/Params/universal~1workflow-chain-override": false, "/Params": false, "/Params/": true} {
		for _, who := range []string{"machine", "job"} {
			assert.Equal(t, want, r.who(t, toks[who]).Allow("machines", "update:"+path, mine), "%s: %s", who, path)
		}
		assert.Equal(t, want, r.who(t, toks["profile"]).Allow("profiles", "update:"+path, "inner"), "profile: %s", path)
		assert.Equal(t, want, r.who(t, toks["unknown"]).MaySet("machines", path), "unknown: %s", path)
	}
	for _, ask := range []string{"machines action:releaseToPool " + mine, "machines action:poweroff " + mine, "machines action:admit " + mine,
		"machines update " + mine, "machines revoke " + mine, "profiles update:/Profiles inner", "profiles update:/Params/x inner"} {
		part := strings.Fields(ask)
		for _, who := range []string{"machine", "job", "boot", "unknown"} {
			assert.False(t, r.who(t, toks[who]).Allow(part[0], part[1], part[2]), "%s: %s", who, ask)
		}
	}
}
