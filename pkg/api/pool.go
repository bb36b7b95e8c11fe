package api

import "drpd/pkg/resource"

// Pool says what happens to machines as they enter, are allocated, are
// released and leave. Its Id groups machines even without an object.
type Pool struct {
	resource.Common
	Id              string
	Description     string        `json:",omitempty"`
	Documentation   string        `json:",omitempty"`
	ParentPool      string        `json:",omitempty"`
	EnterActions    *PoolActions  `json:",omitempty"`
	ExitActions     *PoolActions  `json:",omitempty"`
	AllocateActions *PoolActions  `json:",omitempty"`
	ReleaseActions  *PoolActions  `json:",omitempty"`
	AutoFill        *PoolAutoFill `json:",omitempty"`
	// ReleaseProof says whether a released machine becomes Free only when its
	// disks are proven blank: "required", "none", or "" for what preference
	// releaseProof says.
	ReleaseProof string `json:",omitempty"`
	// ForeignDisks says what an installation does about disks with data that is
	// nobody's that we know of: "refuse", "overwrite", or "" for what preference
	// foreignDisks says.
	ForeignDisks string `json:",omitempty"`
}

// PoolActions is one transition: params and profiles first, then the workflow.
type PoolActions struct {
	Workflow         string          `json:",omitempty"`
	AddProfiles      []string        `json:",omitempty"`
	RemoveProfiles   []string        `json:",omitempty"`
	AddParameters    resource.Params `json:",omitempty"`
	RemoveParameters []string        `json:",omitempty"`
}

// PoolNext is the pool that a Leaving machine enters next, and what its request
// lays over that pool's EnterActions.
type PoolNext struct {
	Pool    string
	Actions PoolActions
}

// PoolAutoFill says how many machines of a pool shall be free.
type PoolAutoFill struct {
	UseAutoFill      bool            `json:",omitempty"`
	MinFree          int32           `json:",omitempty"`
	MaxFree          int32           `json:",omitempty"`
	CreateParameters resource.Params `json:",omitempty"`
	AcquirePool      string          `json:",omitempty"`
	ReturnPool       string          `json:",omitempty"`
}

// Pools by Id.
var Pools = &resource.Kind[Pool]{
	Name: "pools", Key: func(o *Pool) string { return o.Id },
	Common: func(o *Pool) *resource.Common { return &o.Common }, Engine: engineCommon,
	Indexes: []resource.Index[Pool]{keyed(ById, func(o *Pool) string { return o.Id }),
		scan(textual("ParentPool", func(o *Pool) string { return o.ParentPool }))},
	Validate: func(o *Pool) []string {
		p := problems{}
		p.name("Id", o.Id, machineName)
		if o.ParentPool != "" {
			p.name("ParentPool", o.ParentPool, machineName)
		}
		p.oneOf("ReleaseProof", o.ReleaseProof, ReleaseRequired, ReleaseNone)
		p.oneOf("ForeignDisks", o.ForeignDisks, ForeignRefuse, ForeignOverwrite)
		for i, a := range []*PoolActions{o.EnterActions, o.ExitActions, o.AllocateActions, o.ReleaseActions} {
			p = append(p, a.problems([]string{"EnterActions", "ExitActions", "AllocateActions", "ReleaseActions"}[i])...)
		}
		return p
	},
	Refs: func(o *Pool) []resource.Ref {
		var out []resource.Ref
		for _, a := range []*PoolActions{o.EnterActions, o.ExitActions, o.AllocateActions, o.ReleaseActions} {
			if a != nil {
				out = append(out, refs("workflows", one(a.Workflow))...)
				out = append(out, refs("profiles", a.AddProfiles)...)
			}
		}
		return out
	},
}

func (a *PoolActions) problems(field string) []string {
	if a == nil {
		return nil
	}
	p := problems{}
	if a.Workflow != "" {
		p.name(field+" Workflow", a.Workflow, plainName)
	}
	p.names(field+" Add Profile", a.AddProfiles, machineName)
	p.names(field+" Remove Profile", a.RemoveProfiles, machineName)
	p.names(field+" Remove Parameter", a.RemoveParameters, paramName)
	return append(p, paramNames(a.AddParameters)...)
}
