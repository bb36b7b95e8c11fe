package daemon_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/client"
)

// TestOrderWithAContextOnAHost is run by a runner on the server, never by the
// agent of the machine; an order without one the other way round.
func TestOrderWithAContextOnAHost(t *testing.T) {
	t.Parallel()
	_, c := withRunners(t)
	scripted(t, c, "greet", `echo "greets for $RS_UUID"`)
	_, err := client.Create(t.Context(), c, api.Blueprints, &api.Blueprint{Name: "greet", Tasks: []string{"greet"}})
	require.NoError(t, err)
	m, err := client.Create(t.Context(), c, api.Machines, &api.Machine{Name: "host", HardwareAddrs: []string{"52:54:00:00:00:01"}})
	require.NoError(t, err)
	_, err = client.Patch(t.Context(), c, api.Machines, m.Uuid, client.Set("/Workflow", ""), client.Set("/BootEnv", "local"))
	require.NoError(t, err)
	_, err = client.Patch(t.Context(), c, api.Machines, m.Uuid, client.Set("/WorkOrderMode", true))
	require.NoError(t, err)
	ask := func(context string) string {
		o, err := client.Create(t.Context(), c, api.WorkOrders, &api.WorkOrder{Blueprint: "greet", Machine: m.Uuid, Context: context})
		require.NoError(t, err)
		return o.Uuid
	}
	order := func(id string) *api.WorkOrder {
		o, err := client.Get(t.Context(), c, api.WorkOrders, id)
		require.NoError(t, err)
		return o
	}
	status := func(id, want string) {
		t.Helper()
		if !assert.Eventually(t, func() bool { return order(id).Status == want }, 10*time.Second, 10*time.Millisecond, want) {
			t.Fatal(order(id).Status)
		}
	}

	host := ask("")
	status(host, "queued for the agent of host")
	boxed := ask("box")
	status(boxed, "queued for the runner of context box for host: there is no such context; create it")
	_, err = client.Create(t.Context(), c, api.Contexts, &api.Context{Name: "box", Engine: "process"})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return order(boxed).State == api.OrderFinished }, 20*time.Second, 20*time.Millisecond,
		"its runner is started and takes it, though the host's order is older")
	j, err := client.Get(t.Context(), c, api.Jobs, order(boxed).CurrentJob)
	require.NoError(t, err)
	assert.Equal(t, "box", j.Context)
	assert.Contains(t, logOf(t, c, j.Uuid), "greets for "+m.Uuid)

	assert.Equal(t, api.OrderCreated, order(host).State, "the runner leaves the host's order alone")
	took, _, _, err := c.NextJob(t.Context(), m.Uuid, "")
	require.NoError(t, err)
	require.NotNil(t, took)
	assert.Equal(t, host, took.WorkOrder)

	third := ask("box")
	status(third, "queued behind work order "+host+", which runs on host")
	_, err = client.Patch(t.Context(), c, api.Jobs, took.Uuid, client.Set("/State", api.JobRunning))
	require.NoError(t, err)
	_, err = client.Patch(t.Context(), c, api.Jobs, took.Uuid, client.Set("/State", api.JobFinished))
	require.NoError(t, err)
	none, _, _, err := c.NextJob(t.Context(), m.Uuid, "")
	require.NoError(t, err)
	assert.Nil(t, none, "the agent of the host leaves the context's order alone")
	require.Eventually(t, func() bool { return order(third).State == api.OrderFinished }, 20*time.Second, 20*time.Millisecond, "the runner takes the next one")
}
