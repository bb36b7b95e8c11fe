package store

import (
	"context"
	"log/slog"
	"time"
)

// Metered decorates a Store: Observe sees every commit's size, duration and
// outcome, from the goroutine that committed.
type Metered struct {
	Store
	Observe func(ops int, took time.Duration, err error)
}

// Commit passes the ops on and reports to Observe.
func (m Metered) Commit(ctx context.Context, ops []Op) (Rev, error) {
	start := time.Now()
	rev, err := m.Store.Commit(ctx, ops)
	m.Observe(len(ops), time.Since(start), err)
	return rev, err
}

// Logged decorates a Store with one debug line for each commit.
type Logged struct {
	Store
	Log *slog.Logger
}

// Commit passes the ops on and logs the outcome. Data is never logged: it may
// hold secrets.
func (l Logged) Commit(ctx context.Context, ops []Op) (Rev, error) {
	rev, err := l.Store.Commit(ctx, ops)
	l.Log.DebugContext(ctx, "store commit", "ops", len(ops), "rev", uint64(rev), "err", err)
	return rev, err
}
