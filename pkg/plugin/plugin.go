//go:build linux

// Package plugin keeps the programs of plugin providers, and a process going
// for every plugin that names one.
//
// A provider is an executable that speaks Digital Rebar's plugin protocol,
// version 4: "define" prints what it offers, "unpack" writes its files, "listen"
// serves one plugin over two unix sockets. A process runs in a cell (package
// child): a user and a directory of its own, no view of others, no rights,
// limits. It has a token that ends with it. It ends with the server, and with it
// whatever it started.
package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/blob"
	"drpd/pkg/child"
	"drpd/pkg/resource"
)

// Config makes a Supervisor. DB, Blobs, Token, Env and Param are required.
type Config struct {
	DB    *resource.DB
	Blobs *blob.Dir
	// Keeper confines the processes; default child.None, which refuses.
	Keeper child.Keeper
	// Token gives a plugin's process access to the API until end is called.
	Token func(plugin string) (text string, end func(), err error)
	// Env is what every process is told beside its token, as NAME=value.
	Env func() []string
	// Param is the opened value of a param that applies to an object; nil stands
	// for the whole system.
	Param func(r resource.Reader, o *resource.Object, name string) (any, bool, error)

	Ready  time.Duration    // how long a process may take to begin, default 30 s
	Define time.Duration    // how long define and unpack may take, default 1 min
	Now    func() time.Time // default time.Now
	Log    *slog.Logger     // default: discard
}

// Supervisor starts and ends processes of plugins until its Run ends.
type Supervisor struct {
	cfg Config

	mu      sync.Mutex // guards below
	serving map[string]*service
	fresh   map[string]bool // programs uploaded since the start, which tidy leaves alone
}

// service is what is done for one plugin.
type service struct {
	wake    chan struct{}
	running *instance // nil: none is ready; guarded by Supervisor.mu
}

// New fills in the defaults of cfg.
func New(cfg Config) *Supervisor {
	if cfg.Keeper == nil {
		cfg.Keeper = child.None{}
	}
	for p, d := range map[*time.Duration]time.Duration{&cfg.Ready: 30 * time.Second, &cfg.Define: time.Minute} {
		if *p == 0 {
			*p = d
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Supervisor{cfg: cfg, serving: map[string]*service{}, fresh: map[string]bool{}}
}

// Run supervises until ctx ends; all processes have ended then.
func (s *Supervisor) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	s.tidy(ctx)
	for ctx.Err() == nil {
		after := s.cfg.DB.Seq()
		for p := range api.Plugins.All(s.cfg.DB.View()) {
			s.look(ctx, &wg, p.Name)
		}
		for evs, err := range s.cfg.DB.Watch(ctx, after, resource.OfKinds(api.Plugins.Name, api.PluginProviders.Name)) {
			if err != nil {
				s.cfg.Log.Warn("plugins fell behind, looking at everything again", "err", err)
				break
			}
			for _, name := range s.touched(evs) {
				s.look(ctx, &wg, name)
			}
		}
	}
	return nil
}

// touched lists the plugins that events may matter to.
func (s *Supervisor) touched(evs []resource.Event) []string {
	names := map[string]bool{}
	for _, e := range evs {
		switch e.Type {
		case api.Plugins.Name:
			names[e.Key] = true
		case api.PluginProviders.Name:
			for p := range api.Plugins.By(s.cfg.DB.View(), "Provider", e.Key) {
				names[p.Name] = true
			}
		}
	}
	var out []string
	for n := range names {
		out = append(out, n)
	}
	return out
}

// look begins to serve a plugin, or tells who does to look again.
func (s *Supervisor) look(ctx context.Context, wg *sync.WaitGroup, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if svc := s.serving[name]; svc != nil {
		select {
		case svc.wake <- struct{}{}:
		default:
		}
		return
	}
	if _, ok := s.wanted(name); !ok {
		return
	}
	svc := &service{wake: make(chan struct{}, 1)}
	s.serving[name] = svc
	wg.Go(func() { s.serve(ctx, name, svc) })
}

// spec is what a plugin's process is started for. Another spec needs another
// process, unless only the params differ.
type spec struct {
	plugin  string
	def     *api.PluginProvider
	program string
	params  map[string]any
	text    string // params as JSON
	lacks   string // why it cannot be started
}

func (a spec) same(b spec) bool {
	return a.program == b.program && a.text == b.text && a.lacks == b.lacks
}

// wanted says what a plugin needs now; false: no process.
func (s *Supervisor) wanted(name string) (spec, bool) {
	v := s.cfg.DB.View()
	o, err := api.Plugins.Lookup(v, name)
	if err != nil {
		return spec{}, false
	}
	p := o.Val.(*api.Plugin)
	def, err := api.PluginProviders.Get(v, p.Provider)
	if err != nil || def.Program == "" {
		return spec{}, false
	}
	w := spec{plugin: name, def: def, program: def.Program, params: map[string]any{}}
	for param := range p.Params {
		w.param(s.cfg, v, o, param)
	}
	for _, param := range def.OptionalParams {
		w.param(s.cfg, v, o, param)
	}
	for _, param := range def.RequiredParams {
		if !w.param(s.cfg, v, o, param) && w.lacks == "" {
			w.lacks = fmt.Sprintf("provider %s requires param %s: set it on the plugin", def.Name, param)
		}
	}
	data, err := json.Marshal(w.params)
	if err != nil {
		w.lacks = fmt.Sprintf("params of plugin %s are no JSON: %v", name, err)
	}
	w.text = string(data)
	return w, true
}

// param adds one param, and says whether it is set.
func (a *spec) param(cfg Config, r resource.Reader, o resource.Object, name string) bool {
	v, ok, err := cfg.Param(r, &o, name)
	if err != nil {
		a.lacks = err.Error()
		return true
	}
	if ok {
		a.params[name] = v
	}
	return ok
}
