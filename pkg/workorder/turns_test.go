package workorder

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
)

// onServer is a cluster or broker in WorkOrder mode whose orders run action
// "wait", which ends when it is told to.
type onServer struct {
	*rig
	id   string
	done map[string]bool // by work order
}

func newOnServer(t *testing.T, k *resource.Kind[api.Machine]) *onServer {
	t.Helper()
	x := &onServer{rig: newRig(t), done: map[string]bool{}}
	x.orders.Flow.Natives = map[string]engine.Native{"wait": func(tx *resource.Tx, _ time.Time, job string) (engine.Result, error) {
		j, err := api.Jobs.Get(tx, job)
		require.NoError(t, err)
		return engine.Result{Done: x.done[j.WorkOrder], Waiting: "for the test"}, nil
	}}
	x.update(func(tx *resource.Tx) error {
		require.NoError(t, api.Blueprints.Create(tx, &api.Blueprint{Name: "wait", Tasks: []string{"action:wait"}}))
		m := &api.Machine{Name: "s", WorkOrderMode: true}
		require.NoError(t, k.Create(tx, m))
		x.id = m.Uuid
		return nil
	})
	return x
}

func (x *onServer) ask() string {
	x.Helper()
	o := &api.WorkOrder{Blueprint: "wait", Machine: x.id}
	x.update(func(tx *resource.Tx) error { return api.WorkOrders.Create(tx, o) })
	x.look(o.Uuid)
	return o.Uuid
}

// states are those of some orders, after all of them were looked at.
func (x *onServer) states(ids ...string) (out []api.OrderState) {
	x.Helper()
	for range 2 {
		for _, id := range ids {
			x.look(id)
		}
	}
	for _, id := range ids {
		out = append(out, x.order(id).State)
	}
	return out
}

func (x *onServer) yields(id string, yields bool) {
	x.Helper()
	x.update(func(tx *resource.Tx) error {
		return api.WorkOrders.Modify(tx, id, func(o *api.WorkOrder) error { o.Yields = yields; return nil })
	})
}

func TestOrdersOnTheServerTakeTurns(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]*resource.Kind[api.Machine]{"cluster": api.Clusters, "broker": api.Brokers} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newOnServer(t, k)
			a, b, c := x.ask(), x.ask(), x.ask()
			assert.Equal(t, []api.OrderState{api.OrderRunning, api.OrderCreated, api.OrderCreated}, x.states(a, b, c))
			assert.Equal(t, "queued behind work order "+a+", which runs on s", x.order(c).Status)
			x.done[a] = true
			x.look(a)
			x.look(c)
			assert.Equal(t, "queued behind work order "+b+", which is older", x.order(c).Status)
			assert.Equal(t, []api.OrderState{api.OrderFinished, api.OrderRunning, api.OrderCreated}, x.states(a, b, c))
			x.done[b], x.done[c] = true, true
			assert.Equal(t, []api.OrderState{api.OrderFinished, api.OrderFinished}, x.states(b, c))
		})
	}
}

// TestAnOrderThatWaitsForMachinesGivesWay to the release that frees them, and
// does not go on while that runs.
func TestAnOrderThatWaitsForMachinesGivesWay(t *testing.T) {
	t.Parallel()
	x := newOnServer(t, api.Brokers)
	short := x.ask()
	release := x.ask()
	assert.Equal(t, []api.OrderState{api.OrderRunning, api.OrderCreated}, x.states(short, release))
	x.yields(short, true)
	last := x.ask()
	assert.Equal(t, []api.OrderState{api.OrderRunning, api.OrderRunning, api.OrderCreated}, x.states(short, release, last))
	assert.Equal(t, "for the test; work order "+release+", which runs on s, goes first", x.order(short).Status)
	x.done[short] = true
	assert.Equal(t, []api.OrderState{api.OrderRunning}, x.states(short), "it is not its turn")
	x.done[release] = true
	x.look(release)
	assert.Equal(t, []api.OrderState{api.OrderFinished}, x.states(short))
	assert.Equal(t, []api.OrderState{api.OrderRunning}, x.states(last))
}
