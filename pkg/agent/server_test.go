//go:build linux

package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"drpd/pkg/agent/ops"
	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/blob"
	"drpd/pkg/engine"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/sim/machine"
	"drpd/pkg/store/mem"
	"drpd/pkg/workflow"
	"drpd/pkg/workorder"
)

// server is drpd's core behind its REST API, in this process, on a listener
// that can be closed and opened again.
type server struct {
	t    *testing.T
	db   *resource.DB
	auth *auth.Auth
	flow *workflow.Flow
	addr string
	http http.Handler

	mu     sync.Mutex // guards below
	srv    *http.Server
	before func(w http.ResponseWriter, r *http.Request) bool // true: handled
}

func newServer(t *testing.T, tasks map[string]string) *server {
	t.Helper()
	s := &server{t: t, flow: &workflow.Flow{}}
	orders := &workorder.Orders{Flow: s.flow, Match: func(resource.Reader, *api.Machine, string) (bool, error) { return false, nil }}
	s.flow.Begin = orders.Begin
	var err error
	s.db, err = resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), engine.Waits, proof.Claims), Hooks: s.flow.Hooks()})
	require.NoError(t, err)
	e, err := engine.New(engine.Config{DB: s.db, Rules: append(s.flow.Rules(), orders.Rule())})
	require.NoError(t, err)
	s.background(e.Run)
	s.auth, err = auth.New(auth.Config{DB: s.db, Keys: [][]byte{bytes.Repeat([]byte{7}, 32)}})
	require.NoError(t, err)
	blobs, err := blob.OpenDir(t.TempDir())
	require.NoError(t, err)
	s.http, err = rest.New(rest.Config{DB: s.db, Auth: s.auth, Blobs: blobs, NextJob: s.nextJob, WhoAmI: s.whoAmI,
		JobActions: s.actions, Beat: time.Second,
		Params: func(_ resource.Reader, o resource.Object, _, _ bool) (map[string]any, error) {
			return map[string]any(o.Val.(*api.Machine).Params), nil
		}})
	require.NoError(t, err)
	s.content(tasks)
	s.update(func(tx *resource.Tx) error { // what is on disks is not this server's matter
		return api.Preferences.Create(tx, &api.Preference{Name: api.PrefForeignDisks, Value: api.ForeignOverwrite})
	})
	s.addr = "127.0.0.1:0"
	s.start()
	t.Cleanup(s.stop)
	return s
}

// background runs fn until the test ends.
func (s *server) background(fn func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = fn(ctx) })
	s.t.Cleanup(func() { cancel(); wg.Wait() })
}

// content makes the tasks, and a stage and workflow with all of one name each.
func (s *server) content(tasks map[string]string) {
	s.update(func(tx *resource.Tx) error {
		for _, env := range []string{"discovery", "local"} {
			if err := api.BootEnvs.Create(tx, &api.BootEnv{Name: env, OS: api.OsInfo{Name: env}}); err != nil {
				return err
			}
		}
		for name, text := range tasks {
			meta := map[string]string{}
			if len(text) > 2 && text[:3] == "op:" {
				meta["Interpreter"] = "drp-agent"
			}
			t := &api.Task{Name: name, Templates: []api.TemplateInfo{{Name: name, Contents: text, Meta: meta}}}
			if err := api.Tasks.Create(tx, t); err != nil {
				return err
			}
		}
		return nil
	})
}

// workflow makes a workflow of stages: boot environment and tasks each.
func (s *server) workflow(name string, stages ...[]string) {
	s.update(func(tx *resource.Tx) error {
		w := &api.Workflow{Name: name}
		for i, st := range stages {
			stage := &api.Stage{Name: name + string(rune('0'+i)), BootEnv: st[0], Tasks: st[1:]}
			if err := api.Stages.Create(tx, stage); err != nil {
				return err
			}
			w.Stages = append(w.Stages, stage.Name)
		}
		return api.Workflows.Create(tx, w)
	})
}

func (s *server) update(fn func(tx *resource.Tx) error) {
	s.t.Helper()
	require.NoError(s.t, s.db.Update(context.Background(), fn))
}

func (s *server) start() {
	var l net.Listener
	// after a restart, somebody's connection may have taken the port for a moment
	require.Eventually(s.t, func() bool {
		var err error
		l, err = net.Listen("tcp", s.addr)
		return err == nil
	}, 30*time.Second, 20*time.Millisecond, "listen on %s", s.addr)
	srv := &http.Server{Handler: http.HandlerFunc(s.serve)}
	s.mu.Lock()
	s.addr, s.srv = l.Addr().String(), srv
	s.mu.Unlock()
	go func() { _ = srv.Serve(l) }()
}

func (s *server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.srv.Close()
}

func (s *server) intercept(fn func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = fn
}

type envKey struct{}

// serve hands requests to REST, with the environment that whoami tells.
func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	if r.URL.Path == "/api/v3/whoami" {
		data, _ := io.ReadAll(r.Body)
		var me struct{ Env string }
		_ = json.Unmarshal(data, &me)
		r = r.WithContext(context.WithValue(r.Context(), envKey{}, me.Env))
		r.Body = io.NopCloser(bytes.NewReader(data))
	}
	s.http.ServeHTTP(w, r)
}

func (s *server) nextJob(ctx context.Context, _ auth.Identity, id, jobContext string) (*api.Job, int, string, error) {
	var n workflow.Next
	err := s.db.Update(ctx, func(tx *resource.Tx) (err error) {
		n, err = s.flow.NextJob(tx, time.Now(), id, jobContext)
		return err
	})
	switch {
	case err != nil:
		return nil, 0, "", err
	case n.Job == nil:
		return nil, http.StatusNoContent, n.Waiting, nil
	case n.Resumed:
		return n.Job, http.StatusAccepted, "", nil
	}
	return n.Job, http.StatusCreated, "", nil
}

func (s *server) actions(_ context.Context, _ auth.Identity, job, _, _ string) ([]api.JobAction, error) {
	v := s.db.View()
	j, err := api.Jobs.Get(v, job)
	if err != nil {
		return nil, err
	}
	t, err := api.Tasks.Get(v, j.Task)
	if err != nil {
		return nil, err
	}
	var out []api.JobAction
	for _, x := range t.Templates {
		out = append(out, api.JobAction{Name: x.Name, Path: x.Path, Content: x.Contents, Meta: x.Meta})
	}
	return out, nil
}

// whoAmI knows machines by MAC and creates those it does not know.
func (s *server) whoAmI(ctx context.Context, _ auth.Identity, req rest.WhoAmIRequest) (rest.WhoAmIReply, error) {
	env, _ := ctx.Value(envKey{}).(string)
	var id string
	err := s.db.Update(ctx, func(tx *resource.Tx) error {
		for _, mac := range req.MacAddrs {
			for m := range api.Machines.By(tx, api.ByMAC, mac) {
				id = m.Uuid
			}
		}
		if id == "" {
			m := &api.Machine{Name: "n1", HardwareAddrs: req.MacAddrs, Workflow: "discover", Fingerprint: req.Fingerprint}
			if err := api.Machines.Create(tx, m); err != nil {
				return err
			}
			id = m.Uuid
		}
		return workflow.Home(tx, id, env)
	})
	if err != nil {
		return rest.WhoAmIReply{}, err
	}
	token, err := s.auth.MachineToken(auth.Identity{}, id, time.Hour)
	return rest.WhoAmIReply{Result: rest.WhoAmIResult{Score: 100, Uuid: id, Token: token}}, err
}

func (s *server) machine() *api.Machine {
	for m := range api.Machines.All(s.db.View()) {
		return m
	}
	return &api.Machine{}
}

func (s *server) jobs(task string) []*api.Job {
	var out []*api.Job
	for j := range api.Jobs.By(s.db.View(), "Task", task) {
		out = append(out, j)
	}
	return out
}

// log reads a job's log as its user would.
func (s *server) log(job string) string {
	token, err := s.auth.MachineToken(auth.Identity{}, s.machine().Uuid, time.Hour)
	require.NoError(s.t, err)
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.addr+"/api/v3/jobs/"+job+"/log", nil)
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	return string(b)
}

func (s *server) eventually(what string, fn func() bool) {
	s.t.Helper()
	require.Eventually(s.t, fn, 20*time.Second, 10*time.Millisecond, what)
}

// running is an agent that runs in env until it is stopped, or its machine ends.
type running struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (r *running) stop() { r.cancel(); <-r.done }

func (s *server) agent(env string, hw ops.Hardware, dir string) *running {
	token, err := s.auth.BootToken(time.Hour)
	require.NoError(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel: cancel, done: make(chan struct{})}
	log := slog.New(slog.NewTextHandler(s.t.Output(), nil))
	if sim, ok := hw.Power.(*machine.Machine); ok {
		sim.OnEnd(func(string) { cancel() })
	}
	go func() {
		defer close(r.done)
		if err := Run(ctx, Config{Endpoint: "http://" + s.addr, Token: token, Env: env, StateDir: dir,
			Hardware: hw, Log: log, Poll: 200 * time.Millisecond}); err != nil {
			s.t.Error(err)
		}
	}()
	s.t.Cleanup(r.stop)
	return r
}
