package batch

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

type rig struct {
	*testing.T
	db  *resource.DB
	now time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds()})
	require.NoError(t, err)
	r := &rig{t, db, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	r.update(func(tx *resource.Tx) error {
		errs := []error{api.Blueprints.Create(tx, &api.Blueprint{Name: "do"})}
		for _, name := range []string{"a", "b", "c", "idle"} {
			errs = append(errs, api.Machines.Create(tx, &api.Machine{Name: name, WorkOrderMode: name != "idle"}))
		}
		return errors.Join(errs...)
	})
	return r
}

func (r *rig) update(fn func(tx *resource.Tx) error) {
	r.Helper()
	require.NoError(r, r.db.Update(r.Context(), fn))
}

func all(_ resource.Reader, _ *api.Machine, filter string) (bool, error) {
	if filter == "broken" {
		return false, errors.New("cannot be read")
	}
	return true, nil
}

func (r *rig) create(b *api.Batch) string {
	r.Helper()
	r.update(func(tx *resource.Tx) error { return api.Batches.Create(tx, b) })
	return b.Id
}

// look runs the step until it changes nothing, and returns the batch.
func (r *rig) look(id string) *api.Batch {
	r.Helper()
	for rev := uint64(0); rev != r.db.View().Rev(); {
		rev = r.db.View().Rev()
		r.update(func(tx *resource.Tx) error { _, err := Step(tx, r.now, id, all); return err })
	}
	b, err := api.Batches.Get(r.db.View(), id)
	require.NoError(r, err)
	return b
}

// open lists the orders of a batch that have not ended.
func (r *rig) open(id string) (out []*api.WorkOrder) {
	for o := range api.WorkOrders.By(r.db.View(), "For", id) {
		if !o.Ended() {
			out = append(out, o)
		}
	}
	return out
}

func (r *rig) end(o *api.WorkOrder, to api.OrderState, status string) {
	r.Helper()
	r.update(func(tx *resource.Tx) error {
		return api.WorkOrders.Modify(tx, o.Uuid, func(o *api.WorkOrder) error {
			o.State, o.Status = to, status
			return nil
		})
	})
}

var do = &api.WorkOrderTemplate{Blueprint: "do", Filter: "any"}

// TestBatch: setup, one order for each machine in WorkOrder mode, two at a
// time, and the post order that is told of a failure.
func TestBatch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := &api.Batch{SetupWorkOrderTemplate: do, WorkOrderTemplate: do, PostWorkOrderTemplate: do}
	b.Meta = map[string]string{ParamParallel: "2"}
	id := r.create(b)
	b = r.look(id)
	assert.Equal(t, api.BatchSetup, b.State)
	require.Len(t, r.open(id), 1)
	r.end(r.open(id)[0], api.OrderFinished, "")
	b = r.look(id)
	assert.Equal(t, []any{api.BatchRunning, 3, 2}, []any{b.State, len(b.Parts), b.Begun})
	assert.Contains(t, b.Status, "0 of 3 work orders finished, 0 failed, 2 are open: work order ")
	require.Len(t, r.open(id), 2)
	r.end(r.open(id)[0], api.OrderFailed, "no disk")
	assert.Equal(t, 3, r.look(id).Begun)
	require.Len(t, r.open(id), 2)
	seen := map[string]bool{}
	for o := range api.WorkOrders.By(r.db.View(), "For", id) {
		if o.Machine != "" {
			seen[o.Machine] = true
		}
	}
	assert.Len(t, seen, 3, "each machine once")
	for _, o := range r.open(id) {
		r.end(o, api.OrderFinished, "")
	}
	assert.Equal(t, api.BatchPost, r.look(id).State)
	require.Len(t, r.open(id), 1)
	post := r.open(id)[0]
	assert.Equal(t, []any{2.0, 1.0, id}, []any{post.Params[ParamFinished], post.Params[ParamFailed], post.Params[ParamId]})
	r.end(post, api.OrderFinished, "")
	b = r.look(id)
	assert.Equal(t, []any{api.BatchFailed, "1 of 3 work orders failed: no disk"}, []any{b.State, b.Status})

	var again *api.Batch
	r.update(func(tx *resource.Tx) (err error) { again, err = Rerun(tx, id); return err })
	assert.Equal(t, api.BatchSetup, r.look(again.Id).State)
	assert.Equal(t, "2", again.Meta[ParamParallel])
}

// TestItems: the setup order's list makes the orders.
func TestItems(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.create(&api.Batch{SetupWorkOrderTemplate: do, WorkOrderTemplate: do})
	r.look(id)
	setup := r.open(id)[0]
	r.update(func(tx *resource.Tx) error {
		return api.WorkOrders.Modify(tx, setup.Uuid, func(o *api.WorkOrder) error {
			o.Params[ParamItems] = []any{"x", "y"}
			return nil
		})
	})
	r.end(setup, api.OrderFinished, "")
	r.look(id)
	var items []any
	for _, o := range r.open(id) {
		assert.Equal(t, []string{"", "any"}, []string{o.Machine, o.Filter})
		items = append(items, o.Params[ParamItem])
		r.end(o, api.OrderFinished, "")
	}
	assert.ElementsMatch(t, []any{"x", "y"}, items)
	assert.Equal(t, api.BatchFinished, r.look(id).State)
}

func TestBatchesThatFail(t *testing.T) {
	t.Parallel()
	with := func(name string, v any) *api.WorkOrderTemplate {
		return &api.WorkOrderTemplate{Blueprint: "do", Filter: "any", Params: resource.Params{name: v}}
	}
	for name, c := range map[string]struct {
		t    *api.WorkOrderTemplate
		want string
	}{
		"filter":   {&api.WorkOrderTemplate{Blueprint: "do", Filter: "broken"}, `Filter "broken": cannot be read`},
		"items":    {with(ParamItems, 3), "is not a list"},
		"too many": {with(ParamItems, make([]any, maxParts+1)), "10001 work orders, 10000 at most"},
		"parallel": {with(ParamParallel, 0), "wanted is a number between 1 and 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			b := r.look(r.create(&api.Batch{WorkOrderTemplate: c.t}))
			assert.Equal(t, api.BatchFailed, b.State)
			assert.Contains(t, b.Status, c.want)
		})
	}
	r := newRig(t)
	id := r.create(&api.Batch{SetupWorkOrderTemplate: do, WorkOrderTemplate: do})
	r.look(id)
	r.end(r.open(id)[0], api.OrderFailed, "no")
	assert.Contains(t, r.look(id).Status, "the setup work order failed: no")
}

func TestCancel(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.create(&api.Batch{WorkOrderTemplate: do})
	r.look(id)
	require.Len(t, r.open(id), 3)
	r.update(func(tx *resource.Tx) error { return Cancel(tx, r.now, id, "cancelled by me") })
	assert.Empty(t, r.open(id))
	b := r.look(id)
	assert.Equal(t, []any{api.BatchCancelled, "cancelled by me"}, []any{b.State, b.Status})
	assert.ErrorContains(t, r.db.Update(t.Context(), func(tx *resource.Tx) error { return Cancel(tx, r.now, id, "again") }), "a cancelled batch cannot become cancelled")
}
