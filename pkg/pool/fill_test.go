package pool

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// fill runs both rules until nothing changes and returns what a pool waits for.
func (s *site) fill(id string) string {
	s.Helper()
	var why string
	for rev := uint64(0); rev != s.db.View().Rev(); {
		rev = s.db.View().Rev()
		s.settle()
		for p := range api.Pools.All(s.db.View()) {
			s.update(func(tx *resource.Tx) error {
				res, err := Fill(tx, time.Unix(1e9, 0), p.Id, onlyName)
				if p.Id == id {
					why = res.Waiting
				}
				return err
			})
		}
	}
	return why
}

func auto(id string, low, high int32, from, to string) *api.Pool {
	return &api.Pool{Id: id, AutoFill: &api.PoolAutoFill{UseAutoFill: true, MinFree: low, MaxFree: high, AcquirePool: from, ReturnPool: to}}
}

func TestFill(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pools []*api.Pool
		why   string // of pool p
		want  map[string]int
	}{
		"takes what is missing":       {[]*api.Pool{auto("p", 2, 0, "default", "")}, "", map[string]int{"p": 2, "default": 2}},
		"says what it cannot get":     {[]*api.Pool{auto("p", 6, 0, "default", "")}, "2 Free machines are missing: pool default has no more to spare", map[string]int{"p": 4}},
		"leaves others their own":     {[]*api.Pool{auto("p", 3, 0, "default", ""), auto("default", 3, 0, "p", "")}, "2 Free machines are missing: pool default has no more to spare", map[string]int{"p": 1, "default": 3}},
		"gives back":                  {[]*api.Pool{auto("default", 0, 1, "", "p")}, "", map[string]int{"p": 3, "default": 1}},
		"does not pass it in circles": {[]*api.Pool{auto("default", 0, 1, "", "p"), auto("p", 0, 1, "", "default")}, "", map[string]int{"p": 1, "default": 3}},
		"nonsense":                    {[]*api.Pool{auto("p", 3, 1, "default", "")}, "MaxFree (1) is below MinFree (3)", map[string]int{"default": 4}},
		"unused":                      {[]*api.Pool{{Id: "p", AutoFill: &api.PoolAutoFill{MinFree: 3, AcquirePool: "default"}}}, "", map[string]int{"default": 4}},
		"no source":                   {[]*api.Pool{auto("p", 1, 0, "", "")}, "1 Free machines are missing", map[string]int{"default": 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "a", "b", "c", "d")
			for _, p := range c.pools {
				s.pool(p)
			}
			assert.Equal(t, c.why, s.fill("p"))
			got := map[string]int{}
			for m := range api.Machines.All(s.db.View()) {
				assert.Equal(t, api.Free, m.PoolStatus)
				got[m.Pool]++
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// TestFillCounts machines that are on their way.
func TestFillCounts(t *testing.T) {
	t.Parallel()
	s := newSite(t, "a", "b", "c")
	p := auto("p", 1, 0, "default", "")
	p.EnterActions = &api.PoolActions{Workflow: "enter"}
	s.pool(p)
	assert.Empty(t, s.fill("p"))
	assert.Equal(t, map[api.PoolStatus]int{"Joining": 1}, counts(s.db.View(), "p"))
	assert.Equal(t, map[api.PoolStatus]int{"Free": 2}, counts(s.db.View(), "default"))
}

func TestFillAsksABroker(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := auto("p", 2, 0, "", "")
	p.AutoFill.CreateParameters = resource.Params{ParamBroker: "maker", "broker/set-workflow": "enter"}
	s.pool(p)
	assert.Equal(t, `CreateParameters: broker/name names no resource broker: "maker"`, s.fill("p"))
	s.update(func(tx *resource.Tx) error {
		return errors.Join(api.Blueprints.Create(tx, &api.Blueprint{Name: FillBlueprint}), api.Brokers.Create(tx, &api.Machine{Name: "maker"}))
	})
	assert.Equal(t, "a broker makes machines: created", s.fill("p"))
	require.Equal(t, 1, api.WorkOrders.Len(s.db.View()))
	for o := range api.WorkOrders.All(s.db.View()) {
		assert.Equal(t, []any{"p", 2.0, "enter"}, []any{o.Params[ParamFillPool], o.Params[ParamFillCount], o.Params["broker/set-workflow"]})
		s.update(func(tx *resource.Tx) error {
			return api.WorkOrders.Modify(tx, o.Uuid, func(o *api.WorkOrder) error {
				err := o.Move(api.OrderFailed, time.Unix(1e9, 0))
				o.Status = "broken"
				return err
			})
		})
	}
	assert.Equal(t, "the broker made no machines: broken", s.fill("p"))
	assert.Equal(t, 1, api.WorkOrders.Len(s.db.View()))
}
