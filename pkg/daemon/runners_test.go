package daemon_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/agent"
	"drpd/pkg/api"
	"drpd/pkg/child"
	"drpd/pkg/client"
	"drpd/pkg/daemon"
	"drpd/pkg/engine"
	"drpd/pkg/keeper"
)

// TestMain lets the test's own program be the process of a context runner, and
// that of a cell.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == keeper.StageCmd {
		fmt.Fprintln(os.Stderr, keeper.Stage(os.Args[2:]))
		os.Exit(1)
	}
	if len(os.Args) > 1 && os.Args[1] == "context-runner" {
		c := agent.ContextCommand()
		c.SetArgs([]string{})
		if err := c.ExecuteContext(context.Background()); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// withRunners is a drpd that serves contexts.
func withRunners(t *testing.T) (*daemon.Daemon, *client.Client) {
	t.Helper()
	dir := t.TempDir()
	d, c, _ := serverOf(t, daemon.Config{DataDir: dir, Contexts: true, Keeper: confines(t, dir)})
	return d, c
}

// confines is a keeper of this test's own, for who may be one.
func confines(t *testing.T, dir string) child.Keeper {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can confine processes")
	}
	k := keeper.NewDirect(keeper.Config{Hide: []string{dir}})
	t.Cleanup(k.CloseAll)
	return k
}

// scripted makes a workflow of one stage with one shell script.
func scripted(t *testing.T, c *client.Client, name, script string) {
	t.Helper()
	task := &api.Task{Name: name, Templates: []api.TemplateInfo{{Name: "run", Contents: "#!/bin/bash\n" + script}}}
	task.Meta = map[string]string{"feature-flags": "sane-exit-codes"}
	_, err := client.Create(t.Context(), c, api.Tasks, task)
	require.NoError(t, err)
	_, err = client.Create(t.Context(), c, api.Stages, &api.Stage{Name: name, Tasks: []string{name}})
	require.NoError(t, err)
	_, err = client.Create(t.Context(), c, api.Workflows, &api.Workflow{Name: name, Stages: []string{name}})
	require.NoError(t, err)
}

// cluster makes one that runs a workflow.
func cluster(t *testing.T, c *client.Client, workflow string) *api.Machine {
	t.Helper()
	m, err := client.Create(t.Context(), c, api.Clusters, &api.Machine{Name: "c1", Workflow: workflow})
	require.NoError(t, err)
	return m
}

// until reads a cluster until it is as wanted.
func until(t *testing.T, c *client.Client, id, what string, ok func(m *api.Machine) bool) *api.Machine {
	t.Helper()
	var m *api.Machine
	require.Eventually(t, func() (done bool) {
		var err error
		m, err = client.Get(t.Context(), c, api.Clusters, id)
		return err == nil && ok(m)
	}, 20*time.Second, 20*time.Millisecond, what)
	return m
}

func logOf(t *testing.T, c *client.Client, job string) string {
	t.Helper()
	text, _, err := c.ReadLog(t.Context(), job, 0, false)
	require.NoError(t, err)
	return string(text)
}

func TestClusterRunsAScriptInItsContext(t *testing.T) {
	t.Parallel()
	_, c := withRunners(t)
	scripted(t, c, "greet", `echo "hello from $RS_UUID as $(id -u)"; . ./helper; addr_port ::1 80; echo; grep NoNewPrivs /proc/$$/status | tr -d '\t'`)
	m := cluster(t, c, "greet")
	assert.Equal(t, "drpcli-runner", m.Context)
	m = until(t, c, m.Uuid, "workflow complete", func(m *api.Machine) bool { return m.WorkflowComplete })
	j, err := client.Get(t.Context(), c, api.Jobs, m.CurrentJob)
	require.NoError(t, err)
	assert.Equal(t, "greet finished complete drpcli-runner", fmt.Sprint(j.Task, " ", j.State, " ", j.ExitState, " ", j.Context))
	log := logOf(t, c, j.Uuid)
	assert.Regexp(t, fmt.Sprintf("hello from %s as 86[0-9]{3}\n\\[::1\\]:80\nNoNewPrivs:1", m.Uuid), log)
}

// TestRunnerKilledInATask: the job that it ran is failed, the task runs again,
// and what the script had started is gone.
func TestRunnerKilledInATask(t *testing.T) {
	t.Parallel()
	_, c := withRunners(t)
	const mark = "60061.5" // seconds that nobody else sleeps
	scripted(t, c, "slow", `{{if .ParamExists "tried"}}echo second{{else}}sleep `+mark+`{{end}}`)
	m := cluster(t, c, "slow")
	var script, runner int
	require.Eventually(t, func() bool {
		script, runner = processOf(mark)
		return script != 0
	}, 20*time.Second, 10*time.Millisecond, "the script runs")
	first := until(t, c, m.Uuid, "job", func(m *api.Machine) bool { return m.CurrentJob != "" }).CurrentJob
	_, err := client.Patch(t.Context(), c, api.Clusters, m.Uuid, client.Set("/Params/tried", true))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(runner, syscall.SIGKILL))

	m = until(t, c, m.Uuid, "workflow complete", func(m *api.Machine) bool { return m.WorkflowComplete })
	require.NotEqual(t, first, m.CurrentJob)
	was, err := client.Get(t.Context(), c, api.Jobs, first)
	require.NoError(t, err)
	assert.Equal(t, api.JobFailed, was.State)
	assert.Equal(t, []string{"the runner of context drpcli-runner ended while the task ran"}, was.ResultErrors)
	now, err := client.Get(t.Context(), c, api.Jobs, m.CurrentJob)
	require.NoError(t, err)
	assert.Equal(t, first, now.Previous)
	assert.Contains(t, logOf(t, c, now.Uuid), "second")
	require.Eventually(t, func() bool { return syscall.Kill(script, 0) != nil }, 5*time.Second, 10*time.Millisecond, "the script of the killed runner goes with it")
}

// processOf finds the process that sleeps so long, and the runner above it.
func processOf(seconds string) (script, runner int) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		line, _ := os.ReadFile(path)
		if string(line) != "sleep\x00"+seconds+"\x00" {
			continue
		}
		script, _ = strconv.Atoi(filepath.Base(filepath.Dir(path)))
		for runner = script; runner > 1; {
			stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", runner))
			_, rest, _ := strings.Cut(string(stat), "PPid:")
			if _, err := fmt.Sscan(rest, &runner); err != nil {
				return 0, 0
			}
			if line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", runner)); strings.HasSuffix(string(line), "\x00context-runner\x00") {
				return script, runner
			}
		}
	}
	return 0, 0
}

// TestContextWithoutARunnerSaysWhy for a foreign engine and a missing context.
func TestContextWithoutARunnerSaysWhy(t *testing.T) {
	t.Parallel()
	d, c := withRunners(t)
	scripted(t, c, "greet", "true")
	_, err := client.Create(t.Context(), c, api.Contexts, &api.Context{Name: "box", Engine: "docker-context"})
	require.NoError(t, err)
	m, err := client.Create(t.Context(), c, api.Clusters, &api.Machine{Name: "c1", Workflow: "greet", Context: "box"})
	require.NoError(t, err)
	waits := func(text string) {
		t.Helper()
		require.Eventually(t, func() bool {
			for w := range engine.Waits.By(d.DB.View(), engine.ByObject, "clusters/"+m.Uuid) {
				if strings.Contains(w.Waiting, text) {
					return true
				}
			}
			return false
		}, 10*time.Second, 10*time.Millisecond, text)
	}
	waits(`task greet waits for the runner of context box: its engine is "docker-context", and this server runs only "process"`)
	_, err = client.Patch(t.Context(), c, api.Clusters, m.Uuid, client.Set("/Context", "gone"))
	require.NoError(t, err)
	waits("task greet waits for the runner of context gone: there is no such context; create it")
	_, err = client.Patch(t.Context(), c, api.Clusters, m.Uuid, client.Set("/Context", "drpcli-runner"))
	require.NoError(t, err)
	until(t, c, m.Uuid, "workflow complete", func(m *api.Machine) bool { return m.WorkflowComplete })
}

// TestNobodyWhoConfines: without a keeper a server runs nothing of others, and
// says so where somebody looks.
func TestNobodyWhoConfines(t *testing.T) {
	t.Parallel()
	d, c, _ := serverOf(t, daemon.Config{DataDir: t.TempDir(), Contexts: true, Plugins: true})
	scripted(t, c, "greet", "true")
	m := cluster(t, c, "greet")
	const why = "this server has no helper that can confine processes: start drpd as root (it drops to its own user and keeps a helper), or by its systemd unit"
	require.Eventually(t, func() bool {
		for w := range engine.Waits.By(d.DB.View(), engine.ByObject, "clusters/"+m.Uuid) {
			if w.Waiting == "waits for the runner of context drpcli-runner: "+why {
				return true
			}
		}
		return false
	}, 10*time.Second, 10*time.Millisecond, "the refusal is stored")
	_, err := c.Raw(t.Context(), client.Request{Method: "POST", Path: "/plugin_providers/who", In: strings.NewReader(who), Size: int64(len(who))})
	assert.ErrorContains(t, err, why)
}
