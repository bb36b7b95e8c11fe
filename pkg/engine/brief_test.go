package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/resource"
)

// brief waits as a toy's State says; "long" alone is no Brief reason.
func (r *rig) brief(tx *resource.Tx, now time.Time, key string) (Result, error) {
	o, err := r.toys.Get(tx, key)
	if err != nil {
		return Result{}, err
	}
	r.seen.note("%s", o.State)
	res := Result{Waiting: o.State, Brief: o.State != "long"}
	if o.State == "soon" {
		res.Until = o.Next
	}
	return res, nil
}

// stored counts the revisions of reasons that were written since an event.
func stored(t *testing.T, db *resource.DB, after uint64) (n int) {
	t.Helper()
	evs, _, err := db.Since(after)
	require.NoError(t, err)
	for _, e := range evs {
		if e.Type == Waits.Name {
			n++
		}
	}
	return n
}

func TestBriefReasonIsStoredOnlyWhenItLasts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		after := r.db.Seq()
		defer r.run(t, r.rule(r.brief))()
		synctest.Wait()
		for _, state := range []string{"task 1", "task 2", "task 3", ""} { // as an agent goes on
			r.put(t, toy{Name: "a", State: state})
			time.Sleep(Moment - time.Millisecond)
			synctest.Wait()
			assert.Equal(t, Wait{}, r.wait("a"), state)
		}
		time.Sleep(time.Hour)
		assert.Zero(t, stored(t, r.db, after), "what goes on within the moment leaves nothing behind")

		began := time.Now()
		r.put(t, toy{Name: "a", State: "stuck"})
		for range 4 { // events with the same reason do not put it off
			time.Sleep(Moment / 4)
			r.put(t, toy{Name: "a", State: "stuck", Tries: int(time.Since(began))})
		}
		synctest.Wait()
		assert.Equal(t, "stuck", r.wait("a").Waiting)
		assert.Equal(t, began.Add(Moment), r.wait("a").Since.Local())
		assert.Zero(t, r.wait("a").Until)
		r.put(t, toy{Name: "a", State: ""})
		synctest.Wait()
		assert.Equal(t, Wait{}, r.wait("a"), "it moved")
		assert.Equal(t, 2, stored(t, r.db, after))
	})
}

func TestBriefReasonReplacesAStoredOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.put(t, toy{Name: "a", State: "long"})
		defer r.run(t, r.rule(r.brief))()
		synctest.Wait()
		assert.Equal(t, "long", r.wait("a").Waiting)
		r.put(t, toy{Name: "a", State: "task"})
		synctest.Wait()
		assert.Equal(t, Wait{}, r.wait("a"), "the old reason is not true any more")
		r.put(t, toy{Name: "a", State: "long"})
		synctest.Wait()
		assert.Equal(t, "long", r.wait("a").Waiting, "no Brief one: at once")
	})
}

func TestBriefReasonIsLookedAtAtItsUntil(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.put(t, toy{Name: "a", State: "soon", Next: time.Now().Add(Moment / 2)})
		defer r.run(t, r.rule(func(tx *resource.Tx, now time.Time, key string) (Result, error) {
			res, err := r.brief(tx, now, key)
			if err == nil && !res.Until.After(now) {
				return Result{}, r.toys.Modify(tx, key, func(o *toy) error { o.State = "moved"; return nil })
			}
			return res, err
		}))()
		time.Sleep(Moment/2 + time.Millisecond)
		synctest.Wait()
		o, err := r.toys.Get(r.db.View(), "a")
		require.NoError(t, err)
		assert.Equal(t, "moved", o.State, "Until comes before the moment is over")
	})
}

func TestReasonsTellBriefOnesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.put(t, toy{Name: "a", State: "task"})
		r.put(t, toy{Name: "b", State: "long"})
		e, err := New(Config{DB: r.db, Rules: r.rule(r.brief)})
		require.NoError(t, err)
		after := r.db.Seq()
		assert.Equal(t, []*Wait{{Id: "rule toys a", Rule: "rule", Object: "toys/a", Waiting: "task", Since: time.Now()}}, e.Reasons("toys", "a"))
		assert.Empty(t, e.Reasons("toys", "b"), "others are told when they are stored")
		assert.Empty(t, e.Reasons("toys", "none"))
		assert.Empty(t, e.Reasons("cars", "a"))
		assert.Equal(t, after, r.db.Seq(), "to ask changes nothing")
		require.NoError(t, r.db.Update(t.Context(), func(tx *resource.Tx) error {
			return Waits.Put(tx, &Wait{Id: "rule toys a", Rule: "rule", Object: "toys/a", Waiting: "stored"})
		}))
		got := e.Reasons("toys", "a")
		require.Len(t, got, 1)
		assert.Equal(t, "stored", got[0].Waiting, "one reason for each rule")
	})
}

// TestStepThatWaitsForWhatIsOver is not asked in a circle: what it waits for in
// truth wakes it.
func TestStepThatWaitsForWhatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := 0
		r.put(t, toy{Name: "a"})
		over := time.Now().Add(-time.Minute)
		defer r.run(t, r.rule(func(_ *resource.Tx, _ time.Time, _ string) (Result, error) {
			n++
			return Result{Waiting: "an answer", Until: over}, nil
		}))()
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		assert.LessOrEqual(t, n, 30, "in 10 s")
		assert.GreaterOrEqual(t, n, 10, "it is looked at now and then")
	})
}
