package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/sim/inproc"
)

var web = []string{"clusters", "create", "web", "cluster/count=2", "image-deploy/image=test-image", `Profiles=["etcd-application"]`}

func TestClusterThereAndBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, 3)
	r.stock(t)
	got := r.run(t, web...)
	require.Equal(t, 0, got.code, got.err)
	assert.Contains(t, got.out, `"State": "live"`)
	assert.Contains(t, got.err, "cluster=web workflow=universal-cluster-provision state=provisioning")
	assert.Contains(t, got.err, "machine=web-1")
	assert.Contains(t, got.err, "state=done")

	assert.Contains(t, r.ok(t, "clusters", "list", "-o", "table"), "web   live   2/2")
	status := r.object(t, "clusters", "status", "web")
	assert.Equal(t, "live", status["State"])
	assert.EqualValues(t, 2, status["Ready"])
	assert.Contains(t, r.ok(t, "clusters", "members", "web", "-o", "table"), "web-2")
	assert.Contains(t, r.run(t, "clusters", "restore", "web").err, "unchanged")
	r.fails(t, exitUnchanged, "unchanged", "clusters", "restore", "web", "--fail-if-unchanged")
	r.fails(t, exitRefused, "live with 2 machines", "clusters", "forget", "web", "--yes", "web")
	r.fails(t, exitRefused, "fix: if it exists: drpcli clusters restore web", web...)

	r.ok(t, "clusters", "protect", "web")
	assert.Equal(t, true, r.object(t, "clusters", "status", "web")["Protected"])
	assert.Contains(t, r.ok(t, "clusters", "list", "-o", "table"), "yes")
	assert.Contains(t, r.run(t, "clusters", "protect", "web").err, "unchanged")
	r.fails(t, exitRefused, "protected", "clusters", "destroy", "web", "--silent", "--yes", "web")
	r.fails(t, exitRefused, "drpcli clusters unprotect web", "clusters", "update", "web", `{"WorkOrderMode":false,"Workflow":"","Stage":"cluster-destroy"}`)
	r.fails(t, exitUsage, "drpcli clusters unprotect", "clusters", "update", "web", `{"Protected":false}`)
	r.ok(t, "clusters", "unprotect", "web")
	r.fails(t, exitUsage, "fix: drpcli clusters destroy web --silent --yes web", "clusters", "destroy", "web")
	r.fails(t, exitUsage, `the name given is "wep"; nothing was done`, "clusters", "destroy", "web", "--yes", "wep")
	got = r.run(t, "clusters", "destroy", "web", "--silent", "--yes", "web")
	require.Equal(t, 0, got.code, got.err)
	assert.Contains(t, got.out, `"State": "defined"`)
	assert.Contains(t, got.err, "Plan: destroy cluster web (live, generation 1, 2 machines)")

	assert.Equal(t, "live", r.object(t, "clusters", "restore", "web")["State"])
	assert.Equal(t, "defined", r.object(t, "clusters", "destroy", "web", "--yes", "web")["State"])
	r.ok(t, "clusters", "forget", "web", "--yes", "web")
	r.fails(t, exitNotFound, "GET: clusters/web: Not Found", "clusters", "show", "web")
}

func TestDefineThenRestore(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.stock(t)
	r.ok(t, append([]string{"clusters", "define"}, web[2:]...)...)
	assert.Equal(t, "defined", r.object(t, "clusters", "status", "web")["State"])
	assert.Equal(t, "live", r.object(t, "clusters", "restore", "web")["State"])
}

func TestStoppingToWatchStopsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1) // too few: the run waits
	r.stock(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	got := r.runCtx(t, ctx, strings.NewReader(""), web...)
	assert.Equal(t, exitInterrupted, got.code)
	assert.Contains(t, got.err, "stopped watching; the work goes on")
	assert.Contains(t, got.err, "fix: drpcli clusters watch web")
	assert.Contains(t, got.err, "needs 2 machines of pool default at once, 1 can be taken")
	assert.Equal(t, "provisioning", r.object(t, "clusters", "status", "web")["State"])
	got = r.run(t, "clusters", "watch", "web", "--timeout", "50ms")
	assert.Equal(t, exitTimeout, got.code, got.err)
	assert.Equal(t, "provisioning", r.object(t, "clusters", "restore", "web", "--detach")["State"])
}

func TestStateOfCluster(t *testing.T) {
	t.Parallel()
	failed := &api.Job{State: api.JobFailed}
	m := []*api.Machine{{PoolStatus: api.InUse, WorkflowComplete: true}}
	for want, f := range map[string]clusterFacts{
		"defined: new":              {Cluster: &api.Machine{WorkflowComplete: true}},
		"defined: failed with none": {Cluster: &api.Machine{Workflow: flowProvision}, Job: failed},
		"provisioning: runs":        {Cluster: &api.Machine{Workflow: flowProvision, Runnable: true}, Members: m},
		"provisioning: paused":      {Cluster: &api.Machine{Workflow: flowProvision}, Members: m, Job: &api.Job{State: api.JobRunning}},
		"failed: task failed":       {Cluster: &api.Machine{Workflow: flowProvision}, Members: m, Job: failed},
		"live: complete":            {Cluster: &api.Machine{Workflow: flowProvision, WorkflowComplete: true, WorkOrderMode: true}, Members: m},
		"destroying: runs":          {Cluster: &api.Machine{Workflow: flowDestroy, Runnable: true}, Members: m},
		"failed: in destroy":        {Cluster: &api.Machine{Workflow: flowDestroy}, Members: m, Job: failed},
		"defined: destroyed":        {Cluster: &api.Machine{Workflow: flowDestroy, WorkflowComplete: true}},
	} {
		state, _, _ := strings.Cut(want, ":")
		assert.Equal(t, state, f.state(), want)
	}
}

func TestFailedRunExitsEightAndResumes(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	r.stock(t)
	args := append([]string{}, web...)
	args[3] = "cluster/count=1"
	got := r.run(t, append(args, "broker/name=nobody")...)
	assert.Equal(t, exitWorkFailed, got.code, got.err)
	assert.Contains(t, got.err, `no resource broker "nobody"`)
	assert.Contains(t, got.err, "fix: repair the cause, then drpcli clusters restore web")
	assert.Equal(t, "defined", r.object(t, "clusters", "status", "web")["State"], "nothing is held yet")
	r.ok(t, "profiles", "set", "web", "param", "broker/name", "to", "pool-broker")
	assert.Equal(t, "live", r.object(t, "clusters", "restore", "web")["State"])
	require.NoError(t, r.Await(t.Context(), "live", inproc.Live("web")))
}
