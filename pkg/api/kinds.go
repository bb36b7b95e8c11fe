// Package api declares the kinds of objects that drpd keeps: their fields with
// DRP's names, defaults, checks, references and legal moves. Everything else
// (storage, REST, CLI, watch) derives from these declarations.
package api

import "drpd/pkg/resource"

// Kinds lists every kind, in the order that clients see.
func Kinds() []resource.Any {
	return []resource.Any{
		Machines, Clusters, Brokers, Pools, Workflows, Stages, Tasks, Jobs, Templates,
		BootEnvs, Profiles, ParamDefs, Blueprints, WorkOrders, Triggers, TriggerProviders,
		Batches, Alerts, Filters, Subnets, Reservations, Leases, Interfaces, Contexts,
		Plugins, PluginProviders, Users, Roles, Tenants, Preferences, Endpoints, VersionSets,
		CatalogItems, ContentPacks, Files, BMCActions, BootRecords, Media, Callbacks, PluginCalls,
	}
}

// kindNames are the names of Kinds, for checks inside the declarations.
var kindNames = []string{"machines", "clusters", "resource_brokers", "pools", "workflows", "stages", "tasks", "jobs", "templates",
	"bootenvs", "profiles", "params", "blueprints", "work_orders", "triggers", "trigger_providers",
	"batches", "alerts", "filters", "subnets", "reservations", "leases", "interfaces", "contexts",
	"plugins", "plugin_providers", "users", "roles", "tenants", "preferences", "endpoints", "version_sets",
	"catalog_items", "contents", "files", "bmc_actions", "boot_records", "media", "callbacks", "plugin_calls"}

// Described is for kinds that have a line about themselves.
type Described struct{ Description string }

// Documented is for kinds that also have a long text.
type Documented struct {
	Description   string
	Documentation string
}
