package api

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/google/uuid"

	"drpd/pkg/resource"
)

// PoolStatus says where in its pool's life a machine is.
type PoolStatus string

// The pool states, with DRP's names. In the -ing states the pool's transition
// workflow runs; the Hold states wait for an operator, with a stated reason.
const (
	Joining     PoolStatus = "Joining"
	HoldJoin    PoolStatus = "HoldJoin"
	Free        PoolStatus = "Free"
	Building    PoolStatus = "Building"
	HoldBuild   PoolStatus = "HoldBuild"
	InUse       PoolStatus = "InUse"
	Destroying  PoolStatus = "Destroying"
	HoldDestroy PoolStatus = "HoldDestroy"
	Leaving     PoolStatus = "Leaving"
	HoldLeave   PoolStatus = "HoldLeave"
)

// Machine is one physical server. Clusters and resource brokers have the same
// shape and run the same workflows; they are kinds of their own.
type Machine struct {
	resource.Common
	Described
	Name             string
	Uuid             string
	Address          string
	HardwareAddrs    []string
	BootEnv          string
	Stage            string
	Workflow         string
	Tasks            []string
	CurrentTask      int // -1: not started; len(Tasks): done
	CurrentJob       string
	RetryTaskAttempt int
	Runnable         bool
	Context          string
	Profiles         []string
	Params           resource.Params
	OS               string
	Arch             string
	Locked           bool
	Secret           string
	Fingerprint      Fingerprint
	Pool             string
	PoolAllocated    bool
	PoolStatus       PoolStatus
	PoolHoldReason   string    `json:",omitempty"`
	PoolNext         *PoolNext `json:",omitempty"`
	WorkflowComplete bool
	WorkOrderMode    bool
	Boot             *BootState `json:",omitempty"`
	// Owner is the uuid of the cluster that holds the machine, "" if none does.
	Owner string `json:",omitempty"`
	// Generation counts how often a cluster was provisioned.
	Generation int `json:",omitempty"`
}

// Fingerprint identifies hardware for whoami.
type Fingerprint struct {
	SSNHash         string   `json:",omitempty"`
	CSNHash         string   `json:",omitempty"`
	CloudInstanceID string   `json:",omitempty"`
	SystemUUID      string   `json:",omitempty"`
	MemoryIds       []string `json:",omitempty"`
}

// BootState is the intent to boot a machine into its BootEnv, from the moment
// that the BootEnv changed until an agent in it called home.
type BootState struct {
	Intent string    // a new id for each wish to boot
	Env    string    // the BootEnv wished for
	Since  time.Time // when it was wished
	Served bool      // the boot script of a one-shot environment went out
	Home   bool      // an agent running in Env has called home
	Tries  int       // how often the BMC was told to boot it
	Error  string    `json:",omitempty"` // why no more boots are tried
}

// Indexes of machines, clusters and brokers.
const (
	ByName     = "Name"
	ByUuid     = "Uuid"
	ByMAC      = "HardwareAddr"
	ByAddress  = "Address"
	ByPool     = "Pool"
	ByStatus   = "PoolStatus"
	ByWorkflow = "Workflow"
	ByBootEnv  = "BootEnv"
	ByStage    = "Stage"
	ByProfile  = "Profiles"
	ByOwner    = "Owner"
	ByRunnable = "Runnable"
)

// one lists a single index value, none if it is empty.
func one(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func machineKind(name, role string) *resource.Kind[Machine] {
	return &resource.Kind[Machine]{
		Name:   name,
		Key:    func(m *Machine) string { return m.Uuid },
		Common: func(m *Machine) *resource.Common { return &m.Common },
		Indexes: []resource.Index[Machine]{
			{Name: ByName, Of: func(m *Machine) []string { return one(m.Name) }, Unique: true},
			{Name: ByUuid, Of: func(m *Machine) []string { return one(m.Uuid) }, Unique: true},
			{Name: ByMAC, Of: func(m *Machine) []string { return m.HardwareAddrs }, Unique: true},
			{Name: ByAddress, Of: func(m *Machine) []string { return one(m.Address) }},
			{Name: ByPool, Of: func(m *Machine) []string { return one(m.Pool) }},
			{Name: ByStatus, Of: func(m *Machine) []string { return one(string(m.PoolStatus)) }},
			{Name: ByWorkflow, Of: func(m *Machine) []string { return one(m.Workflow) }},
			{Name: ByBootEnv, Of: func(m *Machine) []string { return one(m.BootEnv) }},
			{Name: ByStage, Of: func(m *Machine) []string { return one(m.Stage) }},
			{Name: ByProfile, Of: func(m *Machine) []string { return m.Profiles }},
			{Name: ByOwner, Of: func(m *Machine) []string { return one(m.Owner) }},
			{Name: ByRunnable, Of: func(m *Machine) []string { return []string{fmt.Sprint(m.Runnable)} }},
		},
		Default:  func(m *Machine) { m.fill(role) },
		Validate: (*Machine).problems,
		Refs:     (*Machine).refs,
		Engine: []string{"Validated", "Available", "Errors", "ReadOnly", "Bundle", "Uuid", "CurrentJob", "RetryTaskAttempt",
			"Secret", "Pool", "PoolAllocated", "PoolStatus", "PoolHoldReason", "PoolNext", "WorkflowComplete", "Boot", "Owner", "Generation"},
		Hidden:   []string{"Secret"},
		Params:   func(m *Machine) *resource.Params { return &m.Params },
		Profiles: func(m *Machine) *[]string { return &m.Profiles },
	}
}

// The machine-like kinds.
var (
	Machines = machineKind("machines", "machine")
	Clusters = machineKind("clusters", "cluster")
	Brokers  = machineKind("resource_brokers", "resource-broker")
)

// MachineLike lists the kinds that run workflows and work orders.
func MachineLike() []*resource.Kind[Machine] {
	return []*resource.Kind[Machine]{Machines, Clusters, Brokers}
}

// Runner finds the machine, cluster or broker with that uuid, and its kind.
func Runner(r resource.Reader, id string) (*resource.Kind[Machine], *Machine) {
	for _, k := range MachineLike() {
		if m, err := k.Get(r, id); err == nil {
			return k, m
		}
	}
	return nil, nil
}

func (m *Machine) fill(role string) {
	if m.Uuid == "" {
		m.Uuid = uuid.NewString()
	}
	if m.Secret == "" {
		m.Secret = uuid.NewString()
	}
	if m.Arch == "" {
		m.Arch = "amd64"
	}
	m.Arch = normalArch(m.Arch)
	if m.Pool == "" {
		m.Pool = "default"
	}
	if m.PoolStatus == "" {
		m.PoolStatus = Free
	}
	if m.Meta == nil {
		m.Meta = map[string]string{}
	}
	if m.Meta["machine-role"] == "" {
		m.Meta["machine-role"] = role
	}
	for i, a := range m.HardwareAddrs {
		m.HardwareAddrs[i] = strings.ToLower(a)
	}
	m.HardwareAddrs, m.Tasks, m.Profiles = full(m.HardwareAddrs), full(m.Tasks), full(m.Profiles)
	if m.Params == nil {
		m.Params = resource.Params{}
	}
}

func full(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func normalArch(a string) string {
	switch strings.ToLower(a) {
	case "x86_64", "amd64":
		return "amd64"
	case "aarch64", "arm64":
		return "arm64"
	}
	return a
}

func (m *Machine) problems() []string {
	p := problems{}
	p.name("Name", m.Name, machineName)
	if _, err := uuid.Parse(m.Uuid); err != nil {
		p.add("Uuid %q is not a UUID", m.Uuid)
	}
	if m.Address != "" && net.ParseIP(m.Address).To4() == nil {
		p.add("Address %q is not an IPv4 address", m.Address)
	}
	if m.Arch != "amd64" && m.Arch != "arm64" {
		p.add("Arch %q is not known; use amd64 or arm64", m.Arch)
	}
	seen := map[string]bool{}
	for _, name := range m.Profiles {
		if seen[name] {
			p.add("profile %q is listed twice", name)
		}
		seen[name] = true
	}
	for _, a := range m.HardwareAddrs {
		if hw, err := net.ParseMAC(a); err != nil || len(hw) != 6 {
			p.add("HardwareAddrs: %q is not a MAC address", a)
		}
	}
	if m.CurrentTask < -1 || m.CurrentTask > len(m.Tasks) {
		p.add("CurrentTask %d is outside -1..%d", m.CurrentTask, len(m.Tasks))
	}
	return p
}

func (m *Machine) refs() []resource.Ref {
	var out []resource.Ref
	for kind, key := range map[string]string{"workflows": m.Workflow, "stages": m.Stage, "bootenvs": m.BootEnv} {
		if key != "" {
			out = append(out, resource.Ref{Kind: kind, Key: key, Keep: true})
		}
	}
	for _, p := range m.Profiles {
		out = append(out, resource.Ref{Kind: "profiles", Key: p, Keep: true})
	}
	return out
}

// AtEnd says that the task list is exhausted.
func (m *Machine) AtEnd() bool { return m.CurrentTask >= len(m.Tasks) }
