package api

import "drpd/pkg/resource"

// Element is one versioned piece of software: a content pack, a plugin.
type Element struct {
	Type          string
	Version       string
	Name          string
	ActualVersion string
}

// ElementAction is something to do to bring an endpoint to its version set.
type ElementAction struct {
	Element
	Action string
	Value  any
}

// Endpoint is another server, for multi-site clients. drpd keeps the record
// and does nothing with it.
type Endpoint struct {
	resource.Common
	Id               string
	Description      string            `json:",omitempty"`
	Documentation    string            `json:",omitempty"`
	Params           resource.Params   `json:",omitempty"`
	ConnectionStatus string            `json:",omitempty"`
	VersionSet       string            `json:",omitempty"`
	VersionSets      []string          `json:",omitempty"`
	Apply            bool              `json:",omitempty"`
	HaId             string            `json:",omitempty"`
	Arch             string            `json:",omitempty"`
	Os               string            `json:",omitempty"`
	DRPVersion       string            `json:",omitempty"`
	DRPUXVersion     string            `json:",omitempty"`
	Components       []Element         `json:",omitempty"`
	Plugins          []Plugin          `json:",omitempty"`
	Prefs            map[string]string `json:",omitempty"`
	Global           map[string]any    `json:",omitempty"`
	Actions          []ElementAction   `json:",omitempty"`
}

// VersionSet says which software endpoints shall have.
type VersionSet struct {
	resource.Common
	Documented
	Id           string
	Apply        bool
	DRPVersion   string
	DRPUXVersion string
	Components   []Element
	Plugins      []Plugin
	Prefs        map[string]string
	Files        []FileData
	Global       map[string]any
}

// FileData is a file that endpoints shall have.
type FileData struct {
	Path      string
	Sha256Sum string
	Source    string
	Explode   bool
}

// CatalogItem is one version of one piece of software that can be had.
type CatalogItem struct {
	resource.Common
	Id            string
	Type          string // always catalog_items
	Name          string
	ActualVersion string
	Version       string
	ContentType   string
	Source        string
	Shasum256     map[string]string // by os/arch, or any/any
	NOJQSource    string
	Tip           bool
	HotFix        bool
}

// The kinds of multi-site management.
var (
	Endpoints = &resource.Kind[Endpoint]{
		Name: "endpoints", Key: func(o *Endpoint) string { return o.Id },
		Common: func(o *Endpoint) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes:  []resource.Index[Endpoint]{keyed(ById, func(o *Endpoint) string { return o.Id })},
		Validate: func(o *Endpoint) []string { return identified(o.Id, endpointName) },
		Params:   func(o *Endpoint) *resource.Params { return &o.Params },
	}
	VersionSets = &resource.Kind[VersionSet]{
		Name: "version_sets", Key: func(o *VersionSet) string { return o.Id },
		Common: func(o *VersionSet) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes:  []resource.Index[VersionSet]{keyed(ById, func(o *VersionSet) string { return o.Id })},
		Default:  (*VersionSet).fill,
		Validate: func(o *VersionSet) []string { return identified(o.Id, plainName) },
	}
	CatalogItems = &resource.Kind[CatalogItem]{
		Name: "catalog_items", Key: func(o *CatalogItem) string { return o.Id },
		Common: func(o *CatalogItem) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes: []resource.Index[CatalogItem]{
			keyed(ById, func(o *CatalogItem) string { return o.Id }),
			scan(textual(ByName, func(o *CatalogItem) string { return o.Name })),
			scan(textual("Type", func(o *CatalogItem) string { return o.Type })),
		},
		Default: func(o *CatalogItem) {
			o.Type = "catalog_items"
			if o.Shasum256 == nil {
				o.Shasum256 = map[string]string{}
			}
		},
		Validate: func(o *CatalogItem) []string { return identified(o.Id, catalogName) },
	}
)

func (o *VersionSet) fill() {
	if o.Components == nil {
		o.Components = []Element{}
	}
	if o.Plugins == nil {
		o.Plugins = []Plugin{}
	}
	if o.Prefs == nil {
		o.Prefs = map[string]string{}
	}
	if o.Files == nil {
		o.Files = []FileData{}
	}
	if o.Global == nil {
		o.Global = map[string]any{}
	}
}
