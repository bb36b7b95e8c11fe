package inproc

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/daemon"
	"drpd/pkg/resource"
	"drpd/pkg/store/sqlite"
)

// handledFailure discovers a machine whose first task fails once and is
// handled, repairs it when it stands, and waits for the end.
func (s *Site) handledFailure(ctx context.Context) error {
	err := s.Core.DB.Update(ctx, func(tx *resource.Tx) error {
		return api.Profiles.Modify(tx, "global", func(p *api.Profile) error {
			p.Params = resource.Params{"task-error-handlers": map[string]any{"inventory": []any{"flexiflow-stop", "validation-start"}}}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if err := s.Enroll(ctx); err != nil {
		return err
	}
	stands := func(v *resource.View) bool {
		m := api.Machines.One(v, api.ByName, "n1")
		j, err := api.Jobs.Get(v, m.CurrentJob)
		return m.PoolStatus == api.Free && m.WorkflowComplete || err == nil && j.State == api.JobFailed && !m.Runnable && len(m.TaskErrorStacks) == 0
	}
	if err := s.Await(ctx, "the machine stands at its failed task", stands); err != nil {
		return err
	}
	err = s.Core.DB.Update(ctx, func(tx *resource.Tx) error {
		m := api.Machines.One(tx, api.ByName, "n1")
		if m.WorkflowComplete {
			return nil
		}
		return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Runnable = true; return nil })
	})
	if err != nil {
		return err
	}
	return s.Await(ctx, "machine discovered", AllFree(1))
}

// TestKillWhileAFailureIsHandled kills the server at every commit of that.
func TestKillWhileAFailureIsHandled(t *testing.T) {
	t.Parallel()
	packs, err := daemon.BuiltIn()
	require.NoError(t, err)
	for at := 1; at < 200; at++ {
		l := newLife(t, packs)
		l.rack = New(1)
		l.rack.Packs = packs
		l.rack.Machines[0].FailOnce("inventory", "the disks are gone")
		dead, err := l.handle(t.Context(), at)
		if dead {
			_, err = l.handle(t.Context(), 0)
		}
		require.NoError(t, err, "killed at commit %d", at)
		l.sawHandling(t, at)
		if !dead {
			return
		}
	}
	t.Error("the path has no end")
}

func (l *life) handle(ctx context.Context, at int) (dead bool, err error) {
	db, err := sqlite.Open(ctx, sqlite.Config{Path: l.path})
	if err != nil {
		return false, err
	}
	defer db.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	k := &killer{Store: db, at: at, after: at%2 == 0, died: cancel, kept: &l.kept}
	site, err := Start(context.WithoutCancel(ctx), l.rack, k)
	if err != nil {
		return k.dead, err
	}
	err = site.handledFailure(ctx)
	site.Stop()
	return k.dead, err
}

// sawHandling looks at the jobs in the database: each task of the handling ran
// once between the failure and the second try.
func (l *life) sawHandling(t *testing.T, at int) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: l.path})
	require.NoError(t, err)
	defer db.Close()
	site, err := Start(t.Context(), New(0), db)
	require.NoError(t, err)
	defer site.Stop()
	tries, handled := map[api.JobState]int{}, map[string]int{}
	for j := range api.Jobs.All(site.Core.DB.View()) {
		switch {
		case j.Task == "inventory":
			tries[j.State]++
		case j.Stage == "discover" && (j.Task == "flexiflow-stop" || j.Task == "validation-start"):
			handled[j.Task]++
		}
	}
	assert.Equal(t, map[api.JobState]int{api.JobFailed: 1, api.JobFinished: 1}, tries, "killed at commit %d", at)
	assert.Equal(t, map[string]int{"flexiflow-stop": 1, "validation-start": 1}, handled, "killed at commit %d", at)
}
