package api

import (
	"reflect"
	"time"

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

// Owned says whether somebody has the machine, or had it and it was not proven
// blank since. All states but those of a machine that waits in a pool for an
// owner, enters or leaves one: a state that is added is owned.
func (m *Machine) Owned() bool {
	switch m.PoolStatus {
	case "", Joining, HoldJoin, Free, Leaving, HoldLeave:
		return m.WorkOrderMode
	}
	return true
}

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
	RetryTaskAttempt int         // failed tries of the present task in a row
	TaskErrorStacks  []TaskStack // where the task list stands that an error-handling one interrupts
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
	Pipeline         string
	// PendingWorkOrders and RunningWorkOrders count the orders for the machine.
	PendingWorkOrders int
	RunningWorkOrders int
	Partial           bool       // true only in replies that leave something out
	Boot              *BootState `json:",omitempty"`
	// PastJob says that CurrentJob ran before the task list was reset: it tells
	// nothing about the entry at CurrentTask.
	PastJob bool `json:",omitempty"`
	// Moving marks a save by package workflow that moves the cursor, which is
	// free of the rules for edits by users. It is never stored.
	Moving bool `json:"-"`
	// Owner is the uuid of the cluster that holds the machine, "" if none does.
	Owner string `json:",omitempty"`
	// Chained is how the machine came to its workflow by itself, one workflow
	// after the other, since a person chose one or a task did some work.
	Chained []ChainStep `json:",omitempty"`
	// Unwiped says why the disks may hold data; nil: nothing is to be wiped.
	Unwiped *Unwiped `json:",omitempty"`
	// Uses counts takings, releases and installations: what was proven of the
	// disks before the last of them counts for nothing.
	Uses int `json:",omitempty"`
	// Virtual says that a broker made the machine: it has no hardware, and is
	// deleted when it is released.
	Virtual bool `json:",omitempty"`
	// Fence is how a machine in HoldDestroy is kept from running on.
	Fence *Fence `json:",omitempty"`
	// Generation counts how often a cluster was provisioned.
	Generation int `json:",omitempty"`
	// Protected says of a cluster that nothing of its members' disks is wiped or
	// installed anew, no member is released, and it is neither destroyed nor
	// forgotten. Only the verbs protect and unprotect set it.
	Protected bool `json:",omitempty"`
	// ProtectedBy says who set Protected last: "definition", "upgrade", or the
	// caller of the verb. "" is a cluster of before there was the field.
	ProtectedBy string `json:",omitempty"`
	// ProtectedDisks are disks that param disk/protected of another object has
	// named for a machine that does not have that object any more.
	ProtectedDisks []DiskGuard `json:",omitempty"`
}

// DiskGuard is what one object said in param disk/protected. It holds as long as
// the object says so, or, if that has gone, until somebody lifts it.
type DiskGuard struct {
	Source string   // kind/key
	Disks  []string // serials or WWNs
	Gone   bool     `json:",omitempty"` // the object was deleted while it said so
}

// Fingerprint identifies hardware for whoami. The hashes are SHA-256 sums.
type Fingerprint struct {
	SSNHash         []byte // of the system's serial number
	CSNHash         []byte // of the chassis' or board's
	CloudInstanceID string
	SystemUUID      string
	MemoryIds       [][]byte // of each memory module
}

// TaskStack is a task list put aside, to be gone on with later.
type TaskStack struct {
	CurrentTask int
	TaskList    []string
	Job         string `json:",omitempty"` // that which failed there
	Tries       int    `json:",omitempty"` // RetryTaskAttempt as it was
}

// ChainStep is one workflow that followed another, and what said so.
type ChainStep struct{ From, To, By string }

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

// machineIndexes keeps trees for what the server itself asks for, and for what
// tells machines apart; the rest is read from the objects.
func machineIndexes() []resource.Index[Machine] {
	mac := ofMAC(several(ByMAC, func(m *Machine) []string { return m.HardwareAddrs }))
	mac.Unique = true
	name := textual(ByName, func(m *Machine) string { return m.Name })
	name.Unique = true
	return []resource.Index[Machine]{
		name,
		byUUID(func(m *Machine) string { return m.Uuid }),
		mac,
		typed(ByAddress, typeIP, func(m *Machine) string { return m.Address }),
		textual(ByPool, func(m *Machine) string { return m.Pool }),
		textual(ByStatus, func(m *Machine) string { return string(m.PoolStatus) }),
		textual(ByWorkflow, func(m *Machine) string { return m.Workflow }),
		textual(ByBootEnv, func(m *Machine) string { return m.BootEnv }),
		textual(ByStage, func(m *Machine) string { return m.Stage }),
		several(ByProfile, func(m *Machine) []string { return m.Profiles }),
		typed(ByOwner, typeUUID, func(m *Machine) string { return m.Owner }),
		boolean(ByRunnable, func(m *Machine) bool { return m.Runnable }),
		paramIndex(func(m *Machine) resource.Params { return m.Params }),
		scan(typed("CurrentJob", typeUUID, func(m *Machine) string { return m.CurrentJob })),
		scan(textual("Context", func(m *Machine) string { return m.Context })),
		scan(textual("Arch", func(m *Machine) string { return m.Arch })),
		scan(textual("OS", func(m *Machine) string { return m.OS })),
		scan(textual("Pipeline", func(m *Machine) string { return m.Pipeline })),
		scan(boolean("PoolAllocated", func(m *Machine) bool { return m.PoolAllocated })),
		scan(boolean("WorkflowComplete", func(m *Machine) bool { return m.WorkflowComplete })),
		scan(boolean("WorkOrderMode", func(m *Machine) bool { return m.WorkOrderMode })),
		scan(boolean("Locked", func(m *Machine) bool { return m.Locked })),
	}
}

func machineKind(name, role string) *resource.Kind[Machine] {
	return &resource.Kind[Machine]{
		Name:     name,
		Key:      func(m *Machine) string { return m.Uuid },
		Common:   func(m *Machine) *resource.Common { return &m.Common },
		Indexes:  machineIndexes(),
		Default:  func(m *Machine) { m.fill(role) },
		Validate: (*Machine).problems,
		Refs:     (*Machine).refs,
		Engine: []string{"Validated", "Available", "Errors", "ReadOnly", "Bundle", "Uuid", "CurrentJob", "RetryTaskAttempt",
			"Secret", "Pool", "PoolAllocated", "PoolStatus", "PoolHoldReason", "PoolNext", "WorkflowComplete", "Boot", "Owner", "Generation",
			"Partial", "TaskErrorStacks", "PastJob", "Chained", "PendingWorkOrders", "RunningWorkOrders", "Protected", "ProtectedBy", "ProtectedDisks",
			"Unwiped", "Uses", "Virtual", "Fence"},
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

// SameButOrders says that two editions differ at most in how many work orders
// there are.
func (m *Machine) SameButOrders(other *Machine) bool {
	c := *other
	c.PendingWorkOrders, c.RunningWorkOrders = m.PendingWorkOrders, m.RunningWorkOrders
	return reflect.DeepEqual(m, &c)
}

// AtEnd says that the task list is exhausted.
func (m *Machine) AtEnd() bool { return m.CurrentTask >= len(m.Tasks) }

// Unfinished says what a machine with WorkflowComplete false has to finish.
func (m *Machine) Unfinished() string {
	if m.Workflow == "" {
		return "its tasks are not complete, it has no workflow"
	}
	return "workflow " + m.Workflow + " is not complete"
}
