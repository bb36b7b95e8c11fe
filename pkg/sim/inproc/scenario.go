package inproc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/daemon"
	"drpd/pkg/engine"
	"drpd/pkg/param"
	"drpd/pkg/resource"
	"drpd/pkg/seal"
	"drpd/pkg/store"
)

// Site is a rack and the core that serves it. Its operator's verbs may be
// repeated after a crash, as a person would.
type Site struct {
	*Rack
	Core   *daemon.Core
	cancel context.CancelFunc
	done   chan struct{}
}

// Start opens a core over a store, lets it serve the rack and runs everything.
func Start(ctx context.Context, r *Rack, s store.Store) (*Site, error) {
	core, err := daemon.NewCore(ctx, daemon.CoreConfig{Store: s, Vault: param.NewVault(seal.NewMaster(seal.Key{1})), Match: MatchTags, Actions: r.BMC, BuiltIn: r.Packs})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	site := &Site{Rack: r, Core: core, cancel: cancel, done: make(chan struct{})}
	r.Serve(core)
	agents := make(chan struct{})
	go func() { defer close(agents); r.Run(ctx) }()
	go func() {
		defer close(site.done)
		_ = core.Engine.Run(ctx) // ends with ctx
		<-agents
	}()
	return site, nil
}

// Stop ends the core as a kill does: nothing is finished or flushed.
func (s *Site) Stop() {
	s.Serve(nil)
	s.cancel()
	<-s.done
}

// MatchTags is a stand-in for REST's filters: "cluster/tags=In(x)" only.
func MatchTags(_ resource.Reader, m *api.Machine, filter string) (bool, error) {
	tag, ok := strings.CutPrefix(strings.TrimSuffix(filter, ")"), "cluster/tags=In(")
	if !ok {
		return false, fmt.Errorf("filter %q is not understood", filter)
	}
	list, _ := m.Params["cluster/tags"].([]any)
	for _, t := range list {
		if t == tag {
			return true, nil
		}
	}
	return false, nil
}

// Enroll creates the rack's machines that the server does not have yet, and
// the image to install.
func (s *Site) Enroll(ctx context.Context) error {
	for _, m := range s.Machines {
		err := s.Core.DB.Update(ctx, func(tx *resource.Tx) error {
			if api.Machines.One(tx, api.ByName, m.Name) != nil {
				return nil
			}
			return api.Machines.Create(tx, &api.Machine{Name: m.Name, HardwareAddrs: []string{m.MAC},
				Params: resource.Params{"ipmi/address": "192.0.2.1", "ipmi/password": "hidden"}})
		})
		if err != nil {
			return err
		}
	}
	return s.Core.DB.Update(ctx, func(tx *resource.Tx) error {
		if api.BootEnvs.Has(tx, "test-image") {
			return nil
		}
		sum := strings.Repeat("a", 64)
		for _, f := range []string{"isos/test.zst", "files/discovery/vmlinuz", "files/discovery/initrd.zst"} {
			if err := api.Files.Put(tx, &api.File{Path: f, Size: 1, SHA256: sum}); err != nil {
				return err
			}
		}
		env := &api.BootEnv{Name: "test-image", OS: api.OsInfo{IsoFile: "test.zst", IsoSha256: sum}}
		env.Meta = map[string]string{"raw-size": "1000"}
		return api.BootEnvs.Create(tx, env)
	})
}

// Define creates a cluster; with the provision workflow it starts at once.
func (s *Site) Define(ctx context.Context, name string, count int, workflow string) error {
	return s.Core.DB.Update(ctx, func(tx *resource.Tx) error {
		if api.Clusters.One(tx, api.ByName, name) != nil {
			return nil
		}
		return api.Clusters.Create(tx, &api.Machine{Name: name, Workflow: workflow, Profiles: []string{"etcd-application"},
			Params: resource.Params{"cluster/count": count, "image-deploy/image": "test-image"}})
	})
}

// SetWorkflow is how a cluster is destroyed and restored.
func (s *Site) SetWorkflow(ctx context.Context, name, workflow string) error {
	return s.Core.DB.Update(ctx, func(tx *resource.Tx) error {
		c := api.Clusters.One(tx, api.ByName, name)
		if c == nil {
			return errors.New("no cluster " + name)
		}
		return api.Clusters.Modify(tx, c.Uuid, func(c *api.Machine) error {
			c.WorkOrderMode, c.Workflow = false, workflow
			return nil
		})
	})
}

// Cluster returns a cluster as it stands, nil if there is none.
func (s *Site) Cluster(name string) *api.Machine {
	return api.Clusters.One(s.Core.DB.View(), api.ByName, name)
}

// Await waits until a condition holds; the error tells what everything waits
// for. It gives up after 20000 polls.
func (s *Site) Await(ctx context.Context, what string, cond func(v *resource.View) bool) error {
	limit := time.Now().Add(20000 * s.poll())
	for time.Now().Before(limit) && ctx.Err() == nil {
		if cond(s.Core.DB.View()) {
			return nil
		}
		time.Sleep(s.poll())
	}
	return fmt.Errorf("%s did not come true; %s", what, s.Reasons())
}

// Reasons lists what everything waits for.
func (s *Site) Reasons() string {
	v := s.Core.DB.View()
	var out []string
	for w := range engine.Waits.All(v) {
		out = append(out, fmt.Sprintf("[%s %s: %s %s]", w.Rule, w.Object, w.Waiting, w.LastError))
	}
	for m := range api.Machines.All(v) {
		out = append(out, fmt.Sprintf("[%s %s %s %d/%d %v runnable=%v complete=%v boot=%+v]", m.Name, m.PoolStatus, m.Workflow, m.CurrentTask, len(m.Tasks), m.Tasks, m.Runnable, m.WorkflowComplete, m.Boot))
	}
	return strings.Join(out, "\n")
}

// AllFree holds when n machines are Free with their last workflow complete.
func AllFree(n int) func(v *resource.View) bool {
	return func(v *resource.View) bool {
		free := 0
		for m := range api.Machines.All(v) {
			if m.PoolStatus == api.Free && m.WorkflowComplete && m.Owner == "" {
				free++
			}
		}
		return free == n
	}
}

// Live holds when the named cluster is in WorkOrder mode with its workflow complete.
func Live(name string) func(v *resource.View) bool {
	return func(v *resource.View) bool {
		c := api.Clusters.One(v, api.ByName, name)
		return c != nil && c.WorkOrderMode && c.WorkflowComplete
	}
}

// Gone holds when the named cluster has been destroyed and is only defined.
func Gone(name string) func(v *resource.View) bool {
	return func(v *resource.View) bool {
		c := api.Clusters.One(v, api.ByName, name)
		return c != nil && c.Workflow == "universal-cluster-destroy" && c.WorkflowComplete
	}
}
