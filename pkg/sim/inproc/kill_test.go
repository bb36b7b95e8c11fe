package inproc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/daemon"
	"drpd/pkg/resource"
	"drpd/pkg/store"
	"drpd/pkg/store/sqlite"
)

// errDead is what a store that has died answers.
var errDead = errors.New("the server died")

// killer is a store that dies at its at-th commit, before or after that is
// durable; the reply is lost, and so is every later commit.
type killer struct {
	store.Store
	at    int
	after bool
	died  func()

	mu    sync.Mutex // guards all below
	kept  *[]store.Record
	count int
	dead  bool
	kinds string // what the fatal commit wrote
}

func (k *killer) Commit(ctx context.Context, ops []store.Op) (store.Rev, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead {
		return 0, errDead
	}
	if k.count++; k.count != k.at {
		return k.keep(ctx, ops)
	}
	k.dead, k.kinds = true, kindsOf(ops)
	defer k.died()
	if k.after {
		if _, err := k.keep(ctx, ops); err != nil {
			return 0, err
		}
	}
	return 0, errDead
}

// keep commits, and notes what is durable now.
func (k *killer) keep(ctx context.Context, ops []store.Op) (store.Rev, error) {
	rev, err := k.Store.Commit(ctx, ops)
	for _, op := range ops {
		if err == nil {
			*k.kept = append(*k.kept, store.Record{Kind: op.Kind, Key: op.Key, Rev: rev, Data: op.Data})
		}
	}
	return rev, err
}

func kindsOf(ops []store.Op) string {
	n := map[string]int{}
	for _, o := range ops {
		n[o.Kind]++
	}
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(n)) {
		out = append(out, fmt.Sprintf("%s %d", kind, n[kind]))
	}
	return strings.Join(out, ", ")
}

// life is one rack and one database file, through any number of servers.
type life struct {
	rack *Rack
	path string
	kept []store.Record // all that was ever written, in order
}

func newLife(t *testing.T, packs []*api.ContentPack) *life {
	t.Helper()
	base := "/dev/shm" // many small commits: spare the disk if there is memory
	if _, err := os.Stat(base); err != nil {
		base = ""
	}
	dir, err := os.MkdirTemp(base, "drpd-kill-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	rack := New(3)
	rack.Packs = packs
	return &life{rack: rack, path: filepath.Join(dir, "drpd.db")}
}

// run starts a server that dies at a commit (0: never), walks the path and
// stops the server.
func (l *life) run(ctx context.Context, at int, after bool) (*killer, error) {
	db, err := sqlite.Open(ctx, sqlite.Config{Path: l.path})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return l.serveOn(ctx, db, at, after)
}

func (l *life) serveOn(ctx context.Context, db store.Store, at int, after bool) (*killer, error) {
	return l.serveFor(ctx, db, at, after, func(ctx context.Context, s *Site) error { return s.walk(ctx) })
}

// walked is run with a path of the caller's.
func (l *life) walked(ctx context.Context, at int, after bool, walk func(context.Context, *Site) error) (*killer, error) {
	db, err := sqlite.Open(ctx, sqlite.Config{Path: l.path})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return l.serveFor(ctx, db, at, after, walk)
}

func (l *life) serveFor(ctx context.Context, db store.Store, at int, after bool, walk func(context.Context, *Site) error) (*killer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	k := &killer{Store: db, at: at, after: after, died: cancel, kept: &l.kept}
	// The rack lives on when the server dies: only the walk is cut short.
	site, err := Start(context.WithoutCancel(ctx), l.rack, k)
	if err != nil {
		return k, err
	}
	defer site.Stop()
	return k, walk(ctx, site)
}

// walk is the whole path of an operator; every verb may be repeated.
func (s *Site) walk(ctx context.Context) error {
	if err := s.Enroll(ctx); err != nil {
		return err
	}
	if s.Cluster("demo") == nil {
		if err := s.Await(ctx, "all machines discovered", AllFree(len(s.Machines))); err != nil {
			return err
		}
		if err := s.Define(ctx, "demo", len(s.Machines), "universal-cluster-provision"); err != nil {
			return err
		}
	}
	if s.Cluster("demo").Workflow != "universal-cluster-destroy" {
		if err := s.serve(ctx); err != nil {
			return err
		}
		if err := s.SetWorkflow(ctx, "demo", "universal-cluster-destroy"); err != nil {
			return err
		}
	}
	if err := s.Await(ctx, "cluster destroyed", Gone("demo")); err != nil {
		return err
	}
	return s.Await(ctx, "machines free", AllFree(len(s.Machines)))
}

// serve brings the cluster into service and rolls it once.
func (s *Site) serve(ctx context.Context) error {
	if err := s.Await(ctx, "cluster live", Live("demo")); err != nil {
		return err
	}
	if err := s.roll(ctx, "demo"); err != nil {
		return err
	}
	return s.Await(ctx, "cluster rolled", func(v *resource.View) bool {
		o := api.WorkOrders.One(v, "Blueprint", "cluster-rolling")
		return o != nil && o.State == api.OrderFinished
	})
}

// roll orders rolling work, once.
func (s *Site) roll(ctx context.Context, name string) error {
	id := s.Cluster(name).Uuid
	return s.Core.DB.Update(ctx, func(tx *resource.Tx) error {
		if api.WorkOrders.One(tx, "Blueprint", "cluster-rolling") != nil {
			return nil
		}
		return api.WorkOrders.Create(tx, &api.WorkOrder{Blueprint: "cluster-rolling", Machine: id, CreateTime: tx.Now()})
	})
}

// TestKillAtEveryCommit kills the server at commits of the path, before and
// after they are durable. DRPD_KILL=all covers every commit in both ways, else
// some 50 evenly spread ones in turns. How work falls into commits differs from run to
// run, so the last ones of the longest run are not always reached.
func TestKillAtEveryCommit(t *testing.T) {
	t.Parallel()
	packs, err := daemon.BuiltIn()
	require.NoError(t, err)
	whole := newLife(t, packs)
	k, err := whole.run(t.Context(), 0, false)
	require.NoError(t, err)
	whole.audit(t)
	step := max(k.count/50, 1)
	if os.Getenv("DRPD_KILL") == "all" {
		step = 1
	}
	t.Logf("the path takes %d commits; the server is killed at every %d", k.count, step)
	for at := 1; ; at += step {
		reached := false
		for _, after := range []bool{false, true} {
			if step > 1 && after == (at/step%2 == 0) {
				continue // every other commit the other way
			}
			t.Run(fmt.Sprintf("%d after=%v", at, after), func(t *testing.T) { reached = killAt(t, packs, at, after) || reached })
		}
		if !reached && at > k.count || t.Failed() {
			break
		}
	}
}

// killAt says whether the path came to the commit.
func killAt(t *testing.T, packs []*api.ContentPack, at int, after bool) bool {
	l := newLife(t, packs)
	k, err := l.run(t.Context(), at, after)
	if !k.dead {
		require.NoError(t, err)
		l.audit(t)
		return false
	}
	begun := time.Now()
	_, err = l.run(t.Context(), 0, false)
	took := time.Since(begun)
	require.NoError(t, err)
	l.audit(t)
	when := "before"
	if after {
		when = "after"
	}
	t.Logf("commit %3d %-6s %4d ms  %s", at, when, took.Milliseconds(), k.kinds)
	assert.Less(t, took, 15*time.Second, "the rest of the path")
	return true
}
