// Package api declares the kinds of objects that drpd keeps: their fields with
// DRP's names, defaults, checks, references and legal moves. Everything else
// (storage, REST, CLI, watch) derives from these declarations.
package api

import (
	"slices"

	"drpd/pkg/resource"
)

// Kinds lists every kind, in the order that clients see.
func Kinds() []resource.Any {
	return []resource.Any{
		Machines, Clusters, Brokers, Pools, Workflows, Stages, Tasks, Jobs, Templates,
		BootEnvs, Profiles, ParamDefs, Blueprints, WorkOrders, Triggers, TriggerProviders,
		Batches, Alerts, Filters, Subnets, Reservations, Leases, Interfaces, Contexts,
		Plugins, PluginProviders, Users, Roles, Tenants, Preferences, Endpoints, VersionSets,
		CatalogItems, ContentPacks, Files, BMCActions, BootRecords, Media, Callbacks, PluginCalls,
		Grants, DiskProofs, DiskSurveys,
	}
}

// isKind is for checks inside the declarations of kinds. They cannot call Kinds,
// which is made of them, but by way of an interface: the order in which a
// package's variables are made does not look behind one.
func isKind(name string) bool {
	var all interface{ has(name string) bool } = everyKind{}
	return all.has(name)
}

type everyKind struct{}

func (everyKind) has(name string) bool {
	return slices.ContainsFunc(Kinds(), func(k resource.Any) bool { return k.KindName() == name })
}

// Described is for kinds that have a line about themselves.
type Described struct{ Description string }

// Documented is for kinds that also have a long text.
type Documented struct {
	Description   string
	Documentation string
}
