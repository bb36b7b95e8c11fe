// Package daemon puts drpd together: the core (objects, rules, actions) and
// the services around it. Its table of rules is the map of what the system
// does by itself.
package daemon

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"time"

	"drpd/content"
	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/batch"
	"drpd/pkg/blank"
	"drpd/pkg/bmc"
	"drpd/pkg/broker"
	"drpd/pkg/bundle"
	"drpd/pkg/callout"
	"drpd/pkg/cluster"
	"drpd/pkg/datadir"
	"drpd/pkg/diskplan"
	"drpd/pkg/engine"
	"drpd/pkg/flexi"
	"drpd/pkg/guard"
	"drpd/pkg/media"
	"drpd/pkg/param"
	"drpd/pkg/plugin"
	"drpd/pkg/pool"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/restored"
	"drpd/pkg/store"
	"drpd/pkg/trigger"
	"drpd/pkg/workflow"
	"drpd/pkg/workorder"
)

// CoreConfig makes a Core. Store, Vault and Match are required.
type CoreConfig struct {
	Store   store.Store
	Vault   *param.Vault
	Match   workorder.Match
	Actions func(*resource.DB) []engine.Runner // effects; nil: none
	Now     func() time.Time                   // default time.Now
	Log     *slog.Logger                       // default: discard
	Prefs   map[string]string                  // preferences of a first start that differ from ours
	Out     *callout.Policy                    // where callbacks may go; nil: to no address of this server
	BuiltIn []*api.ContentPack                 // what BuiltIn returned; nil: it is called
}

// Core is drpd without its network services: what a test runs in process.
type Core struct {
	DB     *resource.DB
	Flow   *workflow.Flow
	Orders *workorder.Orders
	Engine *engine.Engine
	Packs  bundle.Packs

	Triggers *trigger.Triggers
}

func newPacks(cfg CoreConfig) bundle.Packs {
	return bundle.Packs{Kinds: api.Kinds(), Features: features, Log: cfg.Log}
}

// Kinds lists every kind of a running drpd: the API's, the engine's reasons,
// the keys of secure params, and replies that may be asked for again.
func Kinds() []resource.Any {
	return append(api.Kinds(), api.ExtendedObjects, engine.Waits, param.ObjectKeys, proof.Claims, trigger.Firings, rest.KeptReplies, flexi.Renderings,
		datadir.Servers, datadir.UnnamedFiles, restored.Adoptions)
}

// NewCore loads the store and prepares the rules; nothing runs yet.
func NewCore(ctx context.Context, cfg CoreConfig) (*Core, error) {
	if cfg.BuiltIn == nil {
		var err error
		if cfg.BuiltIn, err = BuiltIn(); err != nil {
			return nil, err
		}
	}
	flow := &workflow.Flow{Natives: natives(cfg), Handlers: flexi.ErrorTasks, Plugin: plugin.Native}
	orders := &workorder.Orders{Flow: flow, Match: cfg.Match}
	flow.Begin = orders.Begin
	triggers := newTriggers(cfg.Match)
	packs := newPacks(cfg)
	db, err := resource.Open(ctx, resource.Config{
		Store: cfg.Store, Kinds: Kinds(), Now: cfg.Now, Log: cfg.Log,
		Base: func(tx *resource.Tx) error { return layer(tx, packs, cfg.BuiltIn) }, Overwritable: []string{bundle.Basic}, Follow: triggers.Follow,
		Hooks: slices.Concat(cluster.Hooks(), flexi.Hooks(), blank.Hooks(), pool.Hooks(), cfg.Vault.Hooks(append(api.Kinds(), api.ExtendedObjects)), flow.Hooks(), guard.Hooks(), orders.Hooks(), triggers.Hooks(), auth.Hooks(Kinds()), []resource.Hook{packs.Hook(), plugin.Hook(cfg.Log), plugin.CallHook(), bmc.Hook(), proof.Forget(), proof.Restarts()}),
	})
	if err != nil {
		return nil, err
	}
	c := &Core{DB: db, Flow: flow, Orders: orders, Packs: packs, Triggers: triggers}
	caller := &flexi.Caller{DB: db, Vault: cfg.Vault, Now: db.Now, Out: cfg.Out}
	actions := []engine.Runner{caller.Action(), (&flexi.Renderer{DB: db}).Action()}
	if cfg.Actions != nil {
		actions = append(actions, cfg.Actions(db)...)
	}
	c.Engine, err = engine.New(engine.Config{DB: db, Rules: c.rules(), Actions: actions, Now: cfg.Now, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	return c, db.Update(ctx, func(tx *resource.Tx) error {
		if err := cluster.Upgrade(tx); err != nil {
			return err
		}
		return seed(tx, cfg.Prefs)
	})
}

// rules is everything that drpd decides by itself. Each row reads what it
// needs and is alone in moving what the comment names.
func (c *Core) rules() []engine.Rule {
	rules := c.Flow.Rules() // machines, clusters, brokers: cursor, stage, boot environment
	return append(rules,
		c.Orders.Rule(),                           // work orders: state and cursor
		c.Triggers.Rule(),                         // trigger_firings: schedules
		batch.Rule(c.Orders.Match),                // batches: state, their work orders
		pool.Rule(),                               // machines: PoolStatus
		pool.FillRule(pool.Match(c.Orders.Match)), // pools: how many machines are Free
		bmc.Rule(),                                // machines: boots by their BMC, as BMCActions
		bmc.FenceRule(),                           // machines: Fence
		media.Rule(),                              // media: what shall be unpacked
		cluster.Rule(),                            // clusters: WorkOrderMode after provisioning
	)
}

// natives are the operations behind "action:" entries.
func natives(cfg CoreConfig) map[string]engine.Native {
	out := map[string]engine.Native{}
	for _, m := range []map[string]engine.Native{bmc.Natives(), cluster.Natives(), diskplan.Natives(), broker.Natives(cfg.Match), flexi.Natives()} {
		for name, fn := range m {
			out[name] = fn
		}
	}
	return out
}

// BasicVersion is that of pack BasicStore, which content packs name to say which
// server they need: the version of DRP whose clients and packs work with us.
const BasicVersion = "v4.7.0"

// BuiltIn reads the embedded content packs.
func BuiltIn() ([]*api.ContentPack, error) {
	var out []*api.ContentPack
	for _, name := range content.Packs {
		dir, err := fs.Sub(content.FS, name)
		if err != nil {
			return nil, err
		}
		pack, err := bundle.FromDir(dir)
		if err != nil {
			return nil, fmt.Errorf("built-in content pack %s: %w", name, err)
		}
		if pack.Meta.Name == bundle.Basic {
			pack.Meta.Version = BasicVersion
		}
		out = append(out, pack)
	}
	return out, nil
}

// layer puts built-in packs in as read-only layers.
func layer(tx *resource.Tx, packs bundle.Packs, list []*api.ContentPack) error {
	for _, pack := range list {
		if err := packs.BuiltIn(tx, pack); err != nil {
			return fmt.Errorf("built-in content pack %s: %w", pack.Meta.Name, err)
		}
	}
	return nil
}

// DefaultBroker serves clusters that name no other resource broker.
const DefaultBroker = "pool-broker"

// seed makes what a first start needs and an operator may change later.
func seed(tx *resource.Tx, differ map[string]string) error {
	prefs := map[string]string{"defaultWorkflow": "universal-discover", "defaultStage": "none", "defaultBootEnv": "local",
		"unknownBootEnv": "discovery", "knownTokenTimeout": "3600", "unknownTokenTimeout": "600",
		api.PrefReleaseProof: api.ReleaseRequired, api.PrefForeignDisks: api.ForeignRefuse}
	maps.Copy(prefs, workflow.RetentionDefaults)
	maps.Copy(prefs, differ)
	for name, value := range prefs {
		if !api.Preferences.Has(tx, name) {
			if err := api.Preferences.Create(tx, &api.Preference{Name: name, Value: value}); err != nil {
				return err
			}
		}
	}
	if api.Users.Len(tx) == 0 { // a first start; later they are an operator's to take back
		for _, g := range api.PublicGrants() {
			if !api.Grants.Has(tx, g.Name) {
				if err := api.Grants.Create(tx, g); err != nil {
					return err
				}
			}
		}
	}
	if !api.Profiles.Has(tx, "global") {
		if err := api.Profiles.Create(tx, &api.Profile{Name: "global"}); err != nil {
			return err
		}
	}
	if !api.Pools.Has(tx, "default") {
		p := &api.Pool{Id: "default", ReleaseActions: &api.PoolActions{Workflow: "universal-decommission"}}
		if err := api.Pools.Create(tx, p); err != nil {
			return err
		}
	}
	if !api.Contexts.Has(tx, workflow.DefaultContext) {
		c := &api.Context{Name: workflow.DefaultContext, Engine: "process"}
		c.Description = "runs tasks on the server, as a process without privileges"
		if err := api.Contexts.Create(tx, c); err != nil {
			return err
		}
	}
	if api.Brokers.Len(tx) > 0 {
		return nil
	}
	b := &api.Machine{Name: DefaultBroker, WorkOrderMode: true}
	b.Description = "allocates machines from pools"
	return api.Brokers.Create(tx, b)
}
