package daemon_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/client"
	"drpd/pkg/daemon"
)

// traced is a machine that a client walks through its task list by the API, as
// an agent of Digital Rebar Provision does: it never says where it runs, and
// makes the machine runnable when it starts.
type traced struct {
	*testing.T
	c  *client.Client
	id string
}

func newTraced(t *testing.T) *traced {
	t.Helper()
	_, c, _ := serverOf(t, daemon.Config{DataDir: t.TempDir(), Prefs: map[string]string{"defaultWorkflow": "", "defaultBootEnv": "local"}})
	r := &traced{T: t, c: c}
	for _, env := range []string{"sledgehammer", "rocky-9-install"} {
		_, err := client.Create(t.Context(), c, api.BootEnvs, &api.BootEnv{Name: env, OS: api.OsInfo{Name: env}})
		require.NoError(t, err)
	}
	for _, task := range []string{"gohai", "ssh-access", "wipe", "set-host", "agent-install"} {
		_, err := client.Create(t.Context(), c, api.Tasks, &api.Task{Name: task})
		require.NoError(t, err)
	}
	for _, s := range []*api.Stage{
		{Name: "discover-four", BootEnv: "sledgehammer", Tasks: []string{"gohai", "ssh-access"}},
		{Name: "prep", Tasks: []string{"wipe"}},
		{Name: "os", BootEnv: "rocky-9-install", Tasks: []string{"set-host", "agent-install"}},
		{Name: "end", BootEnv: "local"},
	} {
		_, err := client.Create(t.Context(), c, api.Stages, s)
		require.NoError(t, err)
	}
	_, err := client.Create(t.Context(), c, api.Workflows, &api.Workflow{Name: "four", Stages: []string{"discover-four", "prep", "os", "end"}})
	require.NoError(t, err)
	m, err := client.Create(t.Context(), c, api.Machines, &api.Machine{Name: "n1"})
	require.NoError(t, err)
	assert.Equal(t, "at 0, stage none, bootenv local, runnable true, complete true", stateOf(m))
	r.id = m.Uuid
	return r
}

func stateOf(m *api.Machine) string {
	return fmt.Sprintf("at %d, stage %s, bootenv %s, runnable %t, complete %t", m.CurrentTask, m.Stage, m.BootEnv, m.Runnable, m.WorkflowComplete)
}

func (r *traced) set(path string, value any) *api.Machine {
	r.Helper()
	m, err := client.Patch(r.Context(), r.c, api.Machines, r.id, client.Set(path, value))
	require.NoError(r, err)
	return m
}

func (r *traced) state() string {
	r.Helper()
	m, err := client.Get(r.Context(), r.c, api.Machines, r.id)
	require.NoError(r, err)
	return stateOf(m)
}

// reaches waits for a state. A refusal may come from an update of the server's
// own that is about to become durable.
func (r *traced) reaches(want string) {
	r.Helper()
	var got string
	if !assert.Eventually(r, func() bool { got = r.state(); return got == want }, 5*time.Second, 5*time.Millisecond) {
		assert.Equal(r, want, got)
	}
}

// ask is POST /jobs: the status, and the job if there is one.
func (r *traced) ask() (int, *api.Job) {
	r.Helper()
	var j api.Job
	status, err := r.c.Do(r.Context(), http.MethodPost, "jobs", nil, map[string]string{"Machine": r.id}, &j)
	if err != nil {
		return client.Status(err), nil
	}
	return status, &j
}

// job asks for a new job, of the entry at index.
func (r *traced) job(index int, task string) *api.Job {
	r.Helper()
	status, j := r.ask()
	require.Equal(r, 201, status)
	require.Equal(r, fmt.Sprint(index, " ", task, " created"), fmt.Sprint(j.CurrentIndex, " ", j.Task, " ", j.State))
	return j
}

// move patches a job's state as agents do: only from the state it has.
func (r *traced) move(j *api.Job, to api.JobState, exit string) error {
	p := client.Swap("/State", j.State, to)
	if exit != "" {
		p = append(p, client.Set("/ExitState", exit))
	}
	now, err := client.Patch(r.Context(), r.c, api.Jobs, j.Uuid, p...)
	if err == nil {
		*j = *now
	}
	return err
}

func (r *traced) end(j *api.Job, to api.JobState, exit string) {
	r.Helper()
	require.NoError(r, r.move(j, api.JobRunning, ""))
	require.NoError(r, r.move(j, to, exit))
}

// begin sets the workflow and starts the discovery agent.
func (r *traced) begin() {
	r.Helper()
	m := r.set("/Workflow", "four")
	assert.Equal(r, "at -1, stage discover-four, bootenv sledgehammer, runnable false, complete false", stateOf(m))
	assert.Equal(r, []string{"stage:discover-four", "bootenv:sledgehammer", "gohai", "ssh-access", "stage:prep", "wipe",
		"stage:os", "bootenv:rocky-9-install", "set-host", "agent-install", "stage:end", "bootenv:local"}, m.Tasks)
	status, _ := r.ask()
	assert.Equal(r, 409, status, "not runnable")
	r.set("/Runnable", true)
}

// TestTraceAExpansion differs from DRP in one thing: the workflow is complete
// when its last entry is passed, not when the next agent asks.
func TestTraceAExpansion(t *testing.T) {
	t.Parallel()
	r := newTraced(t)
	r.begin()
	r.end(r.job(2, "gohai"), api.JobFinished, "complete")
	r.end(r.job(3, "ssh-access"), api.JobFinished, "complete")
	wipe := r.job(5, "wipe")
	assert.Equal(t, "prep", wipe.Stage)
	entered, err := client.Get(t.Context(), r.c, api.Jobs, wipe.Previous)
	require.NoError(t, err)
	assert.Equal(t, "stage:prep finished complete 4 5", fmt.Sprint(entered.Task, " ", entered.State, " ", entered.ExitState, " ", entered.CurrentIndex, " ", entered.NextIndex))
	assert.Equal(t, "stage changed from \"discover-four\" to \"prep\"\n", logOf(t, r.c, entered.Uuid))
	r.end(wipe, api.JobFinished, "complete")

	status, _ := r.ask()
	assert.Contains(t, []int{204, 409}, status, "into another boot environment: no job, or the rule came first and it is not runnable")
	r.reaches("at 8, stage os, bootenv rocky-9-install, runnable false, complete false")
	r.set("/Runnable", true) // the agent in the installer's chroot
	r.end(r.job(8, "set-host"), api.JobFinished, "complete")
	r.end(r.job(9, "agent-install"), api.JobFinished, "complete")
	status, _ = r.ask()
	assert.Contains(t, []int{204, 409}, status)
	r.reaches("at 12, stage end, bootenv local, runnable false, complete true")
	m := r.set("/Runnable", true) // the agent of the installed system
	assert.Equal(t, "rocky-9-install", m.OS)
	status, _ = r.ask()
	assert.Equal(t, 204, status)
	assert.Equal(t, "at 12, stage end, bootenv local, runnable true, complete true", r.state())
}

func TestTraceACrash(t *testing.T) {
	t.Parallel()
	r := newTraced(t)
	r.begin()
	for i, task := range []string{"gohai", "ssh-access"} {
		r.end(r.job(2+i, task), api.JobFinished, "complete")
	}
	r.end(r.job(5, "wipe"), api.JobFailed, "failed") // by the agent that starts again
	assert.Equal(t, "at 5, stage prep, bootenv sledgehammer, runnable false, complete false", r.state())
	r.set("/Runnable", true)
	m := r.set("/CurrentTask", -1)
	assert.Equal(t, 0, m.CurrentTask, "back to the last change of the boot environment")
	for i, task := range []string{"gohai", "ssh-access"} {
		r.end(r.job(2+i, task), api.JobFinished, "complete")
	}
	r.job(5, "wipe")
}

func TestTraceBFailure(t *testing.T) {
	t.Parallel()
	r := newTraced(t)
	r.begin()
	j := r.job(2, "gohai")
	r.end(j, api.JobFailed, "failed")
	assert.False(t, j.EndTime.IsZero())
	assert.Equal(t, "at 2, stage discover-four, bootenv sledgehammer, runnable false, complete false", r.state())
	status, _ := r.ask()
	assert.Equal(t, 409, status)
	r.set("/Runnable", true)
	again := r.job(2, "gohai")
	assert.NotEqual(t, j.Uuid, again.Uuid)
	assert.Equal(t, j.Uuid, again.Previous)
	was, err := client.Get(t.Context(), r.c, api.Jobs, j.Uuid)
	require.NoError(t, err)
	assert.Equal(t, "false true", fmt.Sprint(was.Current, again.Current))
}

func TestTraceCIncompleteReboot(t *testing.T) {
	t.Parallel()
	r := newTraced(t)
	r.begin()
	j := r.job(2, "gohai")
	r.set("/Runnable", false)
	r.end(j, api.JobIncomplete, "reboot")
	status, _ := r.ask()
	assert.Equal(t, 409, status)
	r.set("/Runnable", true)
	status, same := r.ask()
	assert.Equal(t, 202, status)
	assert.Equal(t, j.Uuid, same.Uuid)
	r.end(same, api.JobFinished, "complete")
	r.job(3, "ssh-access")
}

func TestTraceDConcurrentClaim(t *testing.T) {
	t.Parallel()
	r := newTraced(t)
	r.begin()
	j := r.job(2, "gohai")
	status, _ := r.ask()
	assert.Equal(t, 409, status, "created")
	twin := *j
	require.NoError(t, r.move(j, api.JobRunning, ""))
	err := r.move(&twin, api.JobRunning, "")
	assert.Equal(t, 409, client.Status(err), "the second claim: %v", err)
	status, _ = r.ask()
	assert.Equal(t, 409, status, "running")
	_, err = r.c.Do(t.Context(), http.MethodDelete, "jobs/"+j.Uuid, nil, nil, nil)
	assert.Equal(t, 409, client.Status(err), "a running job of a living machine stays: %v", err)
	var none api.Job
	_, err = r.c.Do(t.Context(), http.MethodPost, "jobs", nil, map[string]string{"Machine": "6d2dcf3c-0000-4000-8000-000000000000"}, &none)
	assert.Equal(t, 422, client.Status(err), "no such machine")
}

// TestElevatedTask: the token of a job with extra claims allows what they say,
// as long as the job is current, and is shown to nobody else.
func TestElevatedTask(t *testing.T) {
	t.Parallel()
	r := newTraced(t)
	ctx := context.WithoutCancel(t.Context())
	_, err := client.Create(ctx, r.c, api.Roles, &api.Role{Name: "profiler", Claims: []api.Claim{{Scope: "profiles", Action: "create", Specific: "*"}}})
	require.NoError(t, err)
	_, err = client.Create(ctx, r.c, api.Tasks, &api.Task{Name: "boss", ExtraRoles: []string{"profiler"}})
	require.NoError(t, err)
	r.set("/Tasks", []string{"boss", "gohai"})
	j := r.job(0, "boss")
	require.NotEmpty(t, j.Token)
	assert.Equal(t, []api.Claim{{Scope: "profiles", Action: "create", Specific: "*"}}, j.ExtraClaims)
	boss := r.c.WithToken(j.Token)
	_, err = client.Create(ctx, boss, api.Profiles, &api.Profile{Name: "made"})
	require.NoError(t, err)
	_, err = client.Create(ctx, boss, api.Stages, &api.Stage{Name: "made"})
	assert.Equal(t, 403, client.Status(err), "beyond its claims")
	shown, err := client.Get(ctx, r.c, api.Jobs, j.Uuid)
	require.NoError(t, err)
	assert.Empty(t, shown.Token)
	r.end(j, api.JobFinished, "complete")
	_, err = client.Create(ctx, boss, api.Profiles, &api.Profile{Name: "late"})
	assert.Equal(t, 403, client.Status(err), "the job is over")
}

// TestPurge removes what is beyond the retention that the caller names.
func TestPurge(t *testing.T) {
	t.Parallel()
	r := newTraced(t)
	r.begin()
	r.end(r.job(2, "gohai"), api.JobFinished, "complete")
	r.end(r.job(3, "ssh-access"), api.JobFinished, "complete")
	wipe := r.job(5, "wipe")
	var got daemon.Purged
	ask := func(query ...string) []string {
		q := map[string][]string{}
		for i := 0; i < len(query); i += 2 {
			q[query[i]] = []string{query[i+1]}
		}
		got = daemon.Purged{}
		_, err := r.c.Do(t.Context(), http.MethodDelete, "jobs", q, nil, &got)
		require.NoError(t, err)
		return got.Jobs
	}
	assert.Empty(t, ask(), "nothing is older than the preferences say")
	assert.Len(t, ask("dryrun", "true", "jobsToKeep", "1"), 3, "gohai, ssh-access and the server's own")
	assert.Empty(t, ask("machine", "missing", "jobsToKeep", "1"))
	assert.Len(t, ask("machine", r.id, "jobsToKeep", "1"), 3)
	left, err := client.List(t.Context(), r.c, api.Jobs)
	require.NoError(t, err)
	require.Len(t, left, 1)
	assert.Equal(t, wipe.Uuid, left[0].Uuid, "the current job stays")
}
