// Package api declares the kinds of objects that drpd keeps: their fields with
// DRP's names, defaults, checks, references and legal moves. Everything else
// (storage, REST, CLI, watch) derives from these declarations.
package api

import "drpd/pkg/resource"

// Kinds lists every kind, in the order that clients see.
func Kinds() []resource.Any {
	return []resource.Any{
		Machines, Clusters, Brokers, Pools, Workflows, Stages, Tasks, Jobs, Templates,
		BootEnvs, Profiles, ParamDefs, Blueprints, WorkOrders, Subnets, Reservations,
		Leases, Users, Roles, Preferences, ContentPacks, Files, BMCActions, BootRecords,
	}
}
