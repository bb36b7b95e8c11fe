package api

import (
	"strings"

	"drpd/pkg/resource"
)

// Context is where an agent may run other than on the machine: a container of
// Image, started by the plugin Engine.
type Context struct {
	resource.Common
	Documented
	Name   string
	Image  string
	Engine string
}

// Plugin is one configured use of a plugin provider.
type Plugin struct {
	resource.Common
	Documented
	Name         string
	Provider     string
	Params       resource.Params
	PluginErrors []string
	Partial      bool
}

// PluginProvider offers actions and kinds of objects.
type PluginProvider struct {
	Name             string
	Version          string
	PluginVersion    int
	AutoStart        bool
	HasPublish       bool
	AvailableActions []AvailableAction
	RequiredParams   []string
	OptionalParams   []string
	StoreObjects     map[string]any
	Documentation    string
	Content          string
	Meta             map[string]string
	// Program names the executable that said all this; no reply shows it.
	Program string `json:",omitempty"`
}

// AvailableAction is one command that can be run on objects of a kind.
type AvailableAction struct {
	Provider       string
	Model          string
	Command        string
	RequiredParams []string
	OptionalParams []string
}

// The kinds of extensions. Package plugin runs the programs of providers.
var (
	Contexts = &resource.Kind[Context]{
		Name: "contexts", Key: func(o *Context) string { return o.Name },
		Common: func(o *Context) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes: []resource.Index[Context]{
			keyed(ByName, func(o *Context) string { return o.Name }),
			scan(textual("Image", func(o *Context) string { return o.Image })),
			scan(textual("Engine", func(o *Context) string { return o.Engine })),
		},
		Validate: func(o *Context) []string { return named(o.Name, plainName) },
	}
	Plugins = &resource.Kind[Plugin]{
		Name: "plugins", Key: func(o *Plugin) string { return o.Name },
		Common: func(o *Plugin) *resource.Common { return &o.Common }, Engine: append([]string{"PluginErrors", "Partial"}, engineCommon...),
		Indexes: []resource.Index[Plugin]{
			keyed(ByName, func(o *Plugin) string { return o.Name }),
			textual("Provider", func(o *Plugin) string { return o.Provider }),
			paramIndex(func(o *Plugin) resource.Params { return o.Params }),
		},
		Default: func(o *Plugin) {
			o.PluginErrors, o.Params, o.Partial = full(o.PluginErrors), fullParams(o.Params), false
		},
		Validate: func(o *Plugin) []string {
			p := problems(named(o.Name, plainName))
			p.name("Provider", o.Provider, plainName)
			return append(p, paramNames(o.Params)...)
		},
		Refs:   (*Plugin).refs,
		Params: func(o *Plugin) *resource.Params { return &o.Params },
	}
	PluginProviders = &resource.Kind[PluginProvider]{
		Name: "plugin_providers", Key: func(o *PluginProvider) string { return o.Name }, Sealed: true,
		Indexes: []resource.Index[PluginProvider]{keyed(ByName, func(o *PluginProvider) string { return o.Name })},
		Default: (*PluginProvider).fill, Validate: (*PluginProvider).storeProblems, Hidden: []string{"Program"},
	}
)

// refs: a plugin needs its provider, and a process that works.
func (o *Plugin) refs() []resource.Ref {
	out := refs(PluginProviders.Name, one(o.Provider))
	for i := range out {
		out[i].Check = func(any) string { return strings.Join(o.PluginErrors, "; ") }
	}
	return out
}

func (o *PluginProvider) fill() {
	o.RequiredParams, o.OptionalParams = full(o.RequiredParams), full(o.OptionalParams)
	if o.AvailableActions == nil {
		o.AvailableActions = []AvailableAction{}
	}
	for i := range o.AvailableActions {
		a := &o.AvailableActions[i]
		a.RequiredParams, a.OptionalParams = full(a.RequiredParams), full(a.OptionalParams)
	}
	if o.StoreObjects == nil {
		o.StoreObjects = map[string]any{}
	}
	if o.Meta == nil {
		o.Meta = map[string]string{}
	}
}
