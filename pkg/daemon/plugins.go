package daemon

import (
	"context"
	"drpd/pkg/api"
	"errors"
	"path/filepath"

	"drpd/pkg/param"
	"drpd/pkg/plugin"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// openPlugins makes the supervisor of plugins, if there are to be any.
func (d *Daemon) openPlugins() {
	if !d.cfg.Plugins {
		return
	}
	d.plugins = plugin.New(plugin.Config{DB: d.DB, Blobs: d.blobs, Keeper: d.cfg.Keeper, Token: d.auth.PluginToken,
		Env: d.pluginEnv, Param: d.paramFor, Log: d.cfg.Log.With("service", "plugin")})
}

// pluginEnv is what plugins are told of this server.
func (d *Daemon) pluginEnv() []string {
	return []string{"RS_ENDPOINT=" + d.apiURL(d.ownAddr()), "RS_FILESERVER=" + d.fileURL(d.ownAddr()), "RS_WEBROOT=" + filepath.Join(d.cfg.DataDir, "blobs")}
}

// providers is what the API uploads programs to; a nil interface if there are
// to be no plugins.
func (d *Daemon) providers() rest.Providers {
	if d.plugins == nil {
		return nil
	}
	return d.plugins
}

// paramFor is the opened value of a param that applies to an object: its own,
// or through what it is made of. Nil stands for the system: what is global.
func (d *Daemon) paramFor(r resource.Reader, o *resource.Object, name string) (any, bool, error) {
	get := param.Resolver{Reader: r, Vault: d.vault}
	if o != nil {
		if s, ok := scopeOf(o.Val); ok {
			get.Scope = s
		} else if at := api.Stored(*o); d.DB.Kind(at.Kind).ParamsOf(at.Val) != nil {
			if v, ok := (*d.DB.Kind(at.Kind).ParamsOf(at.Val))[name]; ok {
				v, err := d.vault.Open(r, at.Kind, at.Key, v)
				return v, err == nil, err
			}
		}
	}
	v, _, ok, err := get.Get(name)
	return v, ok, err
}

func pluginCall(c rest.ActionCall) plugin.Call {
	return plugin.Call{Object: c.Object, Command: c.Command, Plugin: c.Plugin, Params: c.Params}
}

// runPlugin runs an action of a plugin; what the plugin refuses is told in its
// own words.
func (a actions) runPlugin(ctx context.Context, c plugin.Call) (any, error) {
	answer, err := a.plugins.Do(ctx, c)
	if e, ok := errors.AsType[*plugin.Error](err); ok {
		return nil, rest.ErrorReply{Model: e.Model, Key: e.Key, Type: e.Type, Messages: e.Messages, Code: e.Code}
	}
	return answer, err
}
