package inproc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/store"
)

// history is what the log of the database says of the whole life.
type history struct {
	machines map[string]*api.Machine // as they are, by uuid
	builds   map[string]int          // Free -> Building, by name
	installs map[string]int          // finished image-deploy jobs, by machine
	leaders  map[string]bool         // every value that cluster/leader had
	jobs     map[string]*api.Job
	waits    map[string]*engine.Wait
}

// audit follows every record of a life and holds it to the promises: each
// thing was done exactly once, whoever died meanwhile.
func (l *life) audit(t *testing.T) {
	t.Helper()
	h := history{machines: map[string]*api.Machine{}, builds: map[string]int{}, installs: map[string]int{}, leaders: map[string]bool{},
		jobs: map[string]*api.Job{}, waits: map[string]*engine.Wait{}}
	for _, r := range l.kept {
		h.follow(t, r)
	}
	assert.Len(t, h.leaders, 1, "elections of generation 1")
	for _, w := range h.waits {
		assert.Empty(t, w.LastError, "what %s waits for: %s", w.Object, w.Waiting)
	}
	for _, j := range h.jobs {
		assert.Contains(t, []api.JobState{api.JobFinished}, j.State, "%s of %s: %v", j.Task, j.Machine, j.ResultErrors)
		if j.Task == "image-deploy" && j.State == api.JobFinished {
			h.installs[j.Machine]++
		}
	}
	for _, m := range h.machines {
		h.auditMachine(t, l.rack.named(m.Name), m)
	}
}

func (h *history) auditMachine(t *testing.T, hw *Machine, m *api.Machine) {
	t.Helper()
	assert.Equal(t, api.Free, m.PoolStatus, m.Name)
	assert.Empty(t, m.Owner, m.Name)
	assert.Equal(t, 1, h.builds[m.Name], "allocations of %s", m.Name)
	assert.Equal(t, 1, h.installs[m.Uuid], "finished image-deploy jobs of %s", m.Name)
	hw.mu.Lock()
	defer hw.mu.Unlock()
	assert.Equal(t, 1, hw.Installs, "installs of %s", m.Name)
	assert.Equal(t, 1, hw.Wipes, "wipes of %s", m.Name)
	assert.Zero(t, hw.Cuts, "power of %s was cut under a running task", m.Name)
	assert.False(t, hw.on, "%s is on", m.Name)
}

func (h *history) follow(t *testing.T, r store.Record) {
	t.Helper()
	switch r.Kind {
	case api.Machines.Name:
		m := read[api.Machine](t, r)
		h.owned(t, r.Rev, m)
		h.machines[m.Uuid] = m
	case api.Profiles.Name:
		p := read[api.Profile](t, r)
		if v, ok := p.Params["cluster/leader"]; ok {
			h.leaders[fmt.Sprint(v)] = true
		}
	case api.Jobs.Name:
		h.jobs[r.Key] = read[api.Job](t, r)
	case engine.Waits.Name:
		if delete(h.waits, r.Key); r.Data != nil {
			h.waits[r.Key] = read[engine.Wait](t, r)
		}
	}
}

// owned compares a machine with how it was before a commit.
func (h *history) owned(t *testing.T, rev store.Rev, m *api.Machine) {
	t.Helper()
	held := m.PoolStatus == api.Building || m.PoolStatus == api.InUse || m.PoolStatus == api.Destroying
	assert.Equal(t, held, m.Owner != "", "commit %d: %s is %s and owned by %q", rev, m.Name, m.PoolStatus, m.Owner)
	was := h.machines[m.Uuid]
	if was == nil {
		return
	}
	if was.Owner != "" && m.Owner != "" {
		assert.Equal(t, was.Owner, m.Owner, "commit %d: %s went from one cluster to another", rev, m.Name)
	}
	if was.PoolStatus == api.Free && m.PoolStatus == api.Building {
		h.builds[m.Name]++
	}
}

func read[T any](t *testing.T, r store.Record) *T {
	t.Helper()
	v := new(T)
	if r.Data != nil {
		// What follows the first object are fields that no reply shows.
		require.NoError(t, json.NewDecoder(bytes.NewReader(r.Data)).Decode(v), "%s/%s", r.Kind, r.Key)
	}
	return v
}

func (r *Rack) named(name string) *Machine {
	for _, m := range r.Machines {
		if m.Name == name {
			return m
		}
	}
	return nil
}
