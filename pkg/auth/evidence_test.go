package auth_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
)

// in makes a change in somebody's name.
func (r *rig) in(ctx context.Context, id auth.Identity, fn func(tx *resource.Tx) error) error {
	return r.db.Update(resource.WithGuard(ctx, id.Guard()), fn)
}

// TestWhoMayLoseWhatIsNotWiped: a machine with data of somebody is forgotten, or
// loses what it is known by, only by who may say that its disks need no wipe.
func TestWhoMayLoseWhatIsNotWiped(t *testing.T) {
	t.Parallel()
	const id, mac1, mac2 = "66666666-6666-4666-8666-666666666666", "52:54:00:00:00:61", "52:54:00:00:00:62"
	edit := func(change func(m *api.Machine)) func(tx *resource.Tx) error {
		return func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, id, func(m *api.Machine) error { change(m); return nil })
		}
	}
	remove := func(tx *resource.Tx) error { return api.Machines.Delete(tx, id) }
	data := &api.Unwiped{User: "ann"}
	for name, c := range map[string]struct {
		had  api.Machine
		do   func(tx *resource.Tx) error
		free bool // whoever may write it may do this
	}{
		"deleted":                 {api.Machine{Unwiped: data}, remove, false},
		"deleted, blank":          {api.Machine{}, remove, true},
		"deleted, of no hardware": {api.Machine{Unwiped: data, Virtual: true}, remove, true},
		"deleted and made anew": {api.Machine{Unwiped: data, Uses: 2}, func(tx *resource.Tx) error {
			if err := remove(tx); err != nil {
				return err
			}
			return api.Machines.Create(tx, &api.Machine{Name: "lost", Uuid: id, HardwareAddrs: []string{mac1, mac2}})
		}, false},
		"a MAC taken away":        {api.Machine{Unwiped: data}, edit(func(m *api.Machine) { m.HardwareAddrs = []string{mac1} }), false},
		"all MACs taken away":     {api.Machine{Unwiped: data}, edit(func(m *api.Machine) { m.HardwareAddrs = nil }), false},
		"a MAC changed":           {api.Machine{Unwiped: data}, edit(func(m *api.Machine) { m.HardwareAddrs = []string{mac1, "52:54:00:00:00:63"} }), false},
		"a MAC more":              {api.Machine{Unwiped: data}, edit(func(m *api.Machine) { m.HardwareAddrs = append([]string{"52:54:00:00:00:63"}, m.HardwareAddrs...) }), true},
		"a MAC taken away, blank": {api.Machine{}, edit(func(m *api.Machine) { m.HardwareAddrs = []string{mac1} }), true},
		"renamed":                 {api.Machine{Unwiped: data}, edit(func(m *api.Machine) { m.Name = "renamed" }), true},
		"the note itself taken": {api.Machine{Unwiped: data}, func(tx *resource.Tx) error {
			if err := edit(func(m *api.Machine) { m.Unwiped = nil })(tx); err != nil {
				return err
			}
			return remove(tx)
		}, false},
	} {
		for who, action := range map[string]string{"low": "list,get,create,update,delete", "high": "list,get,create,update,delete,action:exemptDisk"} {
			r := newRig(t)
			c.had.Name, c.had.Uuid, c.had.HardwareAddrs = "lost", id, []string{mac1, mac2}
			machine := c.had
			require.NoError(t, r.db.Update(t.Context(), func(tx *resource.Tx) error {
				require.NoError(t, api.Roles.Create(tx, &api.Role{Name: who, Claims: []api.Claim{{Scope: "machines", Action: action, Specific: "*"}}}))
				require.NoError(t, api.Users.Create(tx, &api.User{Name: who, Roles: []string{who}}))
				return api.Machines.Create(tx, &machine)
			}))
			err := r.in(t.Context(), r.as(t, who), c.do)
			assert.Equal(t, c.free || who == "high", err == nil, "%s, %s: %v", name, who, err)
			if err != nil {
				assert.ErrorContains(t, err, "lost holds data of user ann")
			}
		}
	}
}

// TestWhoMayDoWithoutProof: less proof than before takes a right of its own, by
// whatever object it is said; reports of wipes are the word of the agent.
func TestWhoMayDoWithoutProof(t *testing.T) {
	t.Parallel()
	pool := func(change func(p *api.Pool)) func(tx *resource.Tx) error {
		return func(tx *resource.Tx) error {
			return api.Pools.Modify(tx, "rack", func(p *api.Pool) error { change(p); return nil })
		}
	}
	pref := func(name, value string) func(tx *resource.Tx) error {
		return func(tx *resource.Tx) error {
			return api.Preferences.Put(tx, &api.Preference{Name: name, Value: value})
		}
	}
	for name, c := range map[string]struct {
		has  api.Pool // before
		pref string
		do   func(tx *resource.Tx) error
		free bool // whoever may write it may do this
	}{
		"no proof":                 {api.Pool{}, "", pool(func(p *api.Pool) { p.ReleaseProof = api.ReleaseNone }), false},
		"proof":                    {api.Pool{}, "", pool(func(p *api.Pool) { p.ReleaseProof = api.ReleaseRequired }), true},
		"no word, where proof was": {api.Pool{ReleaseProof: api.ReleaseRequired}, "", pool(func(p *api.Pool) { p.ReleaseProof = "" }), false},
		"another word, as before":  {api.Pool{ReleaseProof: api.ReleaseNone}, "", pool(func(p *api.Pool) { p.Description = "x" }), true},
		"strangers' data may go":   {api.Pool{}, "", pool(func(p *api.Pool) { p.ForeignDisks = api.ForeignOverwrite }), false},
		"strangers' data stays":    {api.Pool{ForeignDisks: api.ForeignOverwrite}, "", pool(func(p *api.Pool) { p.ForeignDisks = api.ForeignRefuse }), true},
		"a new pool without proof": {api.Pool{}, "", func(tx *resource.Tx) error {
			return api.Pools.Create(tx, &api.Pool{Id: "new", ReleaseProof: api.ReleaseNone})
		}, false},
		"a new pool":                   {api.Pool{}, "", func(tx *resource.Tx) error { return api.Pools.Create(tx, &api.Pool{Id: "new"}) }, true},
		"the strict pool deleted":      {api.Pool{ReleaseProof: api.ReleaseRequired}, "", func(tx *resource.Tx) error { return api.Pools.Delete(tx, "rack") }, false},
		"the careful pool deleted":     {api.Pool{ForeignDisks: api.ForeignRefuse}, "", func(tx *resource.Tx) error { return api.Pools.Delete(tx, "rack") }, false},
		"any pool deleted":             {api.Pool{}, "", func(tx *resource.Tx) error { return api.Pools.Delete(tx, "rack") }, true},
		"no proof, everywhere":         {api.Pool{}, "", pref(api.PrefReleaseProof, api.ReleaseNone), false},
		"proof, everywhere":            {api.Pool{}, "", pref(api.PrefReleaseProof, api.ReleaseRequired), true},
		"strangers' data, everywhere":  {api.Pool{}, "", pref(api.PrefForeignDisks, api.ForeignOverwrite), false},
		"any word, everywhere":         {api.Pool{}, "", pref(api.PrefReleaseProof, ""), false},
		"the preference deleted":       {api.Pool{}, api.PrefReleaseProof, func(tx *resource.Tx) error { return api.Preferences.Delete(tx, api.PrefReleaseProof) }, false},
		"another preference deleted":   {api.Pool{}, "defaultStage", func(tx *resource.Tx) error { return api.Preferences.Delete(tx, "defaultStage") }, true},
		"another preference":           {api.Pool{}, "", pref("defaultStage", "none"), true},
		"a report of a machine's wipe": {api.Pool{}, "", reports(job1), false},
		"a report in a new job": {api.Pool{}, "", func(tx *resource.Tx) error {
			return api.Jobs.Create(tx, &api.Job{Machine: mine, State: api.JobCreated, Reports: oneReport()})
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.put(t, func(tx *resource.Tx) error {
				for who, action := range map[string]string{"low": "*", "high": "*,action:waiveProof"} {
					claims := []api.Claim{{Scope: "pools,preferences,jobs", Action: "list,get,create,update,delete", Specific: "*"}}
					if action != "*" {
						claims = append(claims, api.Claim{Scope: "pools,preferences", Action: "action:waiveProof", Specific: "*"})
					}
					require.NoError(t, api.Roles.Create(tx, &api.Role{Name: who, Claims: claims}))
					require.NoError(t, api.Users.Create(tx, &api.User{Name: who, Roles: []string{who}}))
				}
				if c.pref != "" {
					require.NoError(t, api.Preferences.Create(tx, &api.Preference{Name: c.pref, Value: api.ReleaseRequired}))
				}
				p := c.has
				p.Id = "rack"
				return api.Pools.Create(tx, &p)
			})
			err := r.in(t.Context(), r.as(t, "low"), c.do)
			if c.free {
				assert.NoError(t, err)
				return
			}
			assert.Equal(t, resource.Forbidden, resource.CodeOf(err), "%v", err)
			if err := r.in(t.Context(), r.as(t, "high"), c.do); name == "a report of a machine's wipe" || name == "a report in a new job" {
				assert.ErrorContains(t, err, "Reports come from the agent of the machine", "a person's word is none, whatever they may do")
			} else {
				assert.NoError(t, err)
			}
		})
	}
}

func oneReport() []api.DiskReport { return []api.DiskReport{{Op: "wipe"}} }

func reports(job string) func(tx *resource.Tx) error {
	return func(tx *resource.Tx) error {
		return api.Jobs.Modify(tx, job, func(j *api.Job) error { j.Reports = oneReport(); return nil })
	}
}

// TestReportsComeFromTheMachine: its own agent's token may, no other machine's.
func TestReportsComeFromTheMachine(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := func(id string) auth.Identity {
		text, err := r.auth.MachineToken(auth.Identity{}, id, 0)
		require.NoError(t, err)
		return r.who(t, text)
	}
	assert.ErrorContains(t, r.in(t.Context(), token(other), reports(job1)), "Reports come from the agent of the machine")
	assert.NoError(t, r.in(t.Context(), token(mine), reports(job1)))
	assert.NoError(t, r.in(t.Context(), r.as(t, "root"), func(tx *resource.Tx) error {
		return api.Jobs.Modify(tx, job1, func(j *api.Job) error { j.ExitState = "failed"; return nil })
	}), "what is reported already may stay")

	claim := func(id string) *proof.Claim {
		c := &proof.Claim{Machine: mine, Id: id, Address: "10.0.0.10"}
		require.NoError(t, r.db.Update(t.Context(), func(tx *resource.Tx) error {
			require.NoError(t, api.Jobs.Modify(tx, job1, func(j *api.Job) error { j.Reports = nil; return nil }))
			return proof.Claims.Put(tx, c)
		}))
		return c
	}
	text, err := r.auth.ClaimToken(claim("first"), time.Hour)
	require.NoError(t, err)
	first := r.who(t, text)
	assert.NoError(t, r.in(t.Context(), first, reports(job1)))
	claim("first")
	assert.ErrorContains(t, r.in(t.Context(), token(mine), reports(job1)), "this token was lent")
	claim("second")
	assert.ErrorContains(t, r.in(t.Context(), first, reports(job1)), "another has proven to be it since")
}

// TestGiving: nobody gives rights that they lack, by whatever object.
func TestGiving(t *testing.T) {
	t.Parallel()
	everything := []api.Claim{{Scope: "*", Action: "*", Specific: "*"}}
	reads := []api.Claim{{Scope: "users", Action: "get", Specific: "*"}}
	for name, do := range map[string]func(wide bool) func(tx *resource.Tx) error{
		"a role": func(wide bool) func(tx *resource.Tx) error {
			return func(tx *resource.Tx) error {
				return api.Roles.Create(tx, &api.Role{Name: "new", Claims: choose(wide, everything, reads)})
			}
		},
		"a role that is there": func(wide bool) func(tx *resource.Tx) error {
			return func(tx *resource.Tx) error {
				return api.Roles.Modify(tx, "people", func(o *api.Role) error { o.Claims = choose(wide, everything, reads); return nil })
			}
		},
		"a user's roles": func(wide bool) func(tx *resource.Tx) error {
			return func(tx *resource.Tx) error {
				return api.Users.Modify(tx, "nobody", func(u *api.User) error {
					u.Roles = choose(wide, []string{auth.Superuser}, []string{"people"})
					return nil
				})
			}
		},
		"a role that is not there": func(wide bool) func(tx *resource.Tx) error {
			return func(tx *resource.Tx) error {
				return api.Users.Modify(tx, "nobody", func(u *api.User) error { u.Roles = choose(wide, []string{"later"}, []string{"people"}); return nil })
			}
		},
		"another's password": func(wide bool) func(tx *resource.Tx) error {
			return func(tx *resource.Tx) error {
				return api.Users.Modify(tx, choose(wide, "root", "nobody"), func(u *api.User) error { u.PasswordHash = "mine"; return nil })
			}
		},
		"who checks another's password": func(wide bool) func(tx *resource.Tx) error {
			return func(tx *resource.Tx) error {
				return api.Users.Modify(tx, choose(wide, "root", "nobody"), func(u *api.User) error { u.Meta = map[string]string{auth.AuthMethod: "x"}; return nil })
			}
		},
		"a task's claims": func(wide bool) func(tx *resource.Tx) error {
			return func(tx *resource.Tx) error {
				return api.Tasks.Create(tx, &api.Task{Name: "new", ExtraClaims: choose(wide, everything, reads)})
			}
		},
		"a task's roles": func(wide bool) func(tx *resource.Tx) error {
			return func(tx *resource.Tx) error {
				return api.Tasks.Create(tx, &api.Task{Name: "new", ExtraRoles: choose(wide, []string{auth.Superuser}, []string{"people"})})
			}
		},
		"a pack's grant": func(wide bool) func(tx *resource.Tx) error {
			return func(tx *resource.Tx) error {
				return api.Grants.Create(tx, &api.Grant{Name: "p", Fields: choose(wide, []string{"Profiles"}, []string{})})
			}
		},
	} {
		r := newRig(t)
		chief := r.as(t, "chief")
		assert.Equal(t, resource.Forbidden, resource.CodeOf(r.in(t.Context(), chief, do(true))), name)
		assert.NoError(t, r.in(t.Context(), chief, do(false)), name)
		r = newRig(t)
		assert.NoError(t, r.in(t.Context(), r.as(t, "root"), do(true)), name)
	}
}

func choose[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// TestRoutesOfSecrets: to say where a secret goes takes the right to set secrets
// there, whatever carries the param.
func TestRoutesOfSecrets(t *testing.T) {
	t.Parallel()
	for _, param := range api.SecretRoutes() {
		for name, do := range map[string]func(tx *resource.Tx) error{
			"machine": func(tx *resource.Tx) error {
				return api.Machines.Modify(tx, mine, func(m *api.Machine) error { m.Params = resource.Params{param: "x"}; return nil })
			},
			"profile": func(tx *resource.Tx) error {
				return api.Profiles.Modify(tx, "inner", func(p *api.Profile) error { p.Params = resource.Params{param: "x"}; return nil })
			},
			"new": func(tx *resource.Tx) error {
				return api.Profiles.Create(tx, &api.Profile{Name: "new", Params: resource.Params{param: "x"}})
			},
			"stage": func(tx *resource.Tx) error {
				return api.Stages.Create(tx, &api.Stage{Name: "new", Params: resource.Params{param: "x"}})
			},
		} {
			r := newRig(t)
			assert.Equal(t, resource.Forbidden, resource.CodeOf(r.in(t.Context(), r.as(t, "ann"), do)), "%s: %s", name, param)
			text, err := r.auth.MachineToken(auth.Identity{}, mine, 0)
			require.NoError(t, err)
			assert.Equal(t, resource.Forbidden, resource.CodeOf(r.in(t.Context(), r.who(t, text), do)), "%s: %s", name, param)
			assert.NoError(t, r.in(t.Context(), r.as(t, "root"), do), "%s: %s", name, param)
		}
	}
}
