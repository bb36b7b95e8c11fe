package api

import (
	"drpd/pkg/resource"
)

// Trigger makes work orders when its provider sees what Params describe: an
// event, a time, a call from outside.
type Trigger struct {
	resource.Common
	Documented
	Name                 string
	Enabled              bool
	TriggerProvider      string
	Blueprint            string
	Filter               string // machines to run on, over those in WorkOrder mode
	FilterCount          int    // how many of them; 0 means one
	AllInFilter          bool   // all of them
	QueueMode            bool   // one order that any of them may take
	MergeDataIntoParams  bool   // what the provider saw becomes params of the order
	StoreDataInParameter string // and is kept under this param
	Params               resource.Params
	Profiles             []string
	WorkOrderParams      resource.Params
	WorkOrderProfiles    []string
}

// TriggerProvider is a source of triggers, with the params that it wants.
type TriggerProvider struct {
	resource.Common
	Documented
	Name           string
	Method         string // "" for providers without a URL, else the HTTP method of calls
	NoURL          bool
	RequiredParams []string
	OptionalParams []string
	Params         resource.Params
	Profiles       []string
	Templates      []TemplateInfo
}

// The kinds of triggers.
var (
	Triggers = &resource.Kind[Trigger]{
		Name: "triggers", Key: func(o *Trigger) string { return o.Name },
		Common: func(o *Trigger) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes: []resource.Index[Trigger]{
			keyed(ByName, func(o *Trigger) string { return o.Name }),
			textual(ByProvider, func(o *Trigger) string { return o.TriggerProvider }),
			textual("Blueprint", func(o *Trigger) string { return o.Blueprint }),
			boolean("Enabled", func(o *Trigger) bool { return o.Enabled }),
		},
		Default: func(o *Trigger) {
			o.Params, o.WorkOrderParams = fullParams(o.Params), fullParams(o.WorkOrderParams)
			o.Profiles, o.WorkOrderProfiles = full(o.Profiles), full(o.WorkOrderProfiles)
		},
		Validate: (*Trigger).problems,
		Refs: func(o *Trigger) []resource.Ref {
			out := append(refs("blueprints", one(o.Blueprint)), refs("trigger_providers", one(o.TriggerProvider))...)
			return append(out, refs("profiles", append(o.Profiles[:len(o.Profiles):len(o.Profiles)], o.WorkOrderProfiles...))...)
		},
		Params: func(o *Trigger) *resource.Params { return &o.Params }, Profiles: func(o *Trigger) *[]string { return &o.Profiles },
	}
	TriggerProviders = &resource.Kind[TriggerProvider]{
		Name: "trigger_providers", Key: func(o *TriggerProvider) string { return o.Name },
		Common: func(o *TriggerProvider) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes: []resource.Index[TriggerProvider]{keyed(ByName, func(o *TriggerProvider) string { return o.Name })},
		Default: func(o *TriggerProvider) {
			o.RequiredParams, o.OptionalParams, o.Profiles = full(o.RequiredParams), full(o.OptionalParams), full(o.Profiles)
			o.Params, o.Templates = fullParams(o.Params), fullTemplates(o.Templates)
		},
		Validate: func(o *TriggerProvider) []string {
			return append(named(o.Name, plainName), templateProblems(o.Templates)...)
		},
		Refs: func(o *TriggerProvider) []resource.Ref {
			return append(refs("profiles", o.Profiles), templateRefs(o.Templates)...)
		},
		Params: func(o *TriggerProvider) *resource.Params { return &o.Params }, Profiles: func(o *TriggerProvider) *[]string { return &o.Profiles },
	}
)

// ByProvider indexes triggers by their provider.
const ByProvider = "TriggerProvider"

func (o *Trigger) problems() []string {
	p := problems(named(o.Name, plainName))
	p.name("TriggerProvider", o.TriggerProvider, plainName)
	p.name("Blueprint", o.Blueprint, plainName)
	if o.FilterCount < 0 {
		p.add("FilterCount is %d, at least 0", o.FilterCount)
	}
	if o.QueueMode && o.AllInFilter {
		p.add("QueueMode and AllInFilter exclude each other")
	}
	p = append(p, paramNames(o.Params)...)
	return append(p, paramNames(o.WorkOrderParams)...)
}
