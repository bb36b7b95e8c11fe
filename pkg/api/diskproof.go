package api

import (
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"drpd/pkg/resource"
)

// DiskID tells one disk from others: by its serial number, else its WWN, else
// by where it is together with its model and size.
type DiskID struct {
	Serial string `json:",omitempty"`
	WWN    string `json:",omitempty"`
	Path   string `json:",omitempty"` // device node, as "/dev/sda"
	Model  string `json:",omitempty"`
	Size   int64  // bytes
}

// Key is the same for the same disk of a machine, boot after boot.
func (d DiskID) Key() string {
	if d.Serial != "" || d.WWN != "" {
		return strings.Join([]string{d.Serial, d.WWN, strconv.FormatInt(d.Size, 10)}, "|")
	}
	return strings.Join([]string{"at", d.Path, d.Model, strconv.FormatInt(d.Size, 10)}, "|")
}

// String names the disk for people.
func (d DiskID) String() string {
	switch {
	case d.Serial != "":
		return "disk " + d.Path + " (serial " + d.Serial + ")"
	case d.WWN != "":
		return "disk " + d.Path + " (WWN " + d.WWN + ")"
	}
	return "disk " + d.Path + " (no serial, " + d.Model + ", " + strconv.FormatInt(d.Size, 10) + " bytes)"
}

// DiskFact is one disk as an agent found it.
type DiskFact struct {
	DiskID
	Name      string   // of the kernel, this boot
	Transport string   // nvme, ata, sas, fc, iscsi, usb ...
	Removable bool     `json:",omitempty"`
	ReadOnly  bool     `json:",omitempty"`
	Virtual   bool     `json:",omitempty"` // a medium that the BMC pretends to be
	Expander  bool     `json:",omitempty"` // behind a SAS expander
	Content   []string `json:",omitempty"` // what is on it, as "ext4 at 1048576"
}

// DiskDone is what an operation did to one disk.
type DiskDone struct {
	DiskID
	Method  string  `json:",omitempty"` // of a wipe: overwrite, sanitize, crypto-erase, discard
	Bytes   int64   // written by a wipe, read by a check
	Record  string  `json:",omitempty"` // the drive's own record that it completed
	Samples []int64 `json:",omitempty"` // offsets, in bytes, that were read back and found blank
	Error   string  `json:",omitempty"`
}

// DiskReport is what an operation of the agent on disks saw and did, as facts;
// its job's log is for people. Disks are all that the machine has.
type DiskReport struct {
	Op    string // inventory, wipe, verify-blank or deploy
	Disks []DiskFact
	Done  []DiskDone `json:",omitempty"`
}

// Limits of a report.
const (
	MaxReportDisks   = 512
	MaxReportSamples = 4096 // of all disks together
	maxReportText    = 256  // bytes of one text
	maxContent       = 64   // texts of one disk
)

// maxReports is how many operations one job reports.
const maxReports = 8

func reportProblems(list []DiskReport) []string {
	p := problems{}
	if len(list) > maxReports {
		p.add("there are %d Reports, %d at most", len(list), maxReports)
	}
	for _, o := range list {
		p = append(p, o.problems()...)
	}
	return p
}

// problems keeps a report small enough to be stored.
func (o DiskReport) problems() []string {
	p := problems{}
	if len(o.Disks) > MaxReportDisks || len(o.Done) > MaxReportDisks {
		p.add("Report has %d disks, %d at most", max(len(o.Disks), len(o.Done)), MaxReportDisks)
	}
	texts := []string{o.Op}
	for _, d := range o.Disks {
		texts = append(texts, d.Serial, d.WWN, d.Path, d.Model, d.Name, d.Transport)
		if texts = append(texts, d.Content...); len(d.Content) > maxContent {
			p.add("Report names %d contents of %s, %d at most", len(d.Content), d.Name, maxContent)
		}
	}
	samples := 0
	for _, d := range o.Done {
		texts = append(texts, d.Serial, d.WWN, d.Path, d.Model, d.Method, d.Record, d.Error)
		samples += len(d.Samples)
	}
	if samples > MaxReportSamples {
		p.add("Report has %d samples, %d at most", samples, MaxReportSamples)
	}
	for _, t := range texts {
		if len(t) > maxReportText {
			p.add("Report has a text of %d bytes, %d at most", len(t), maxReportText)
			break
		}
	}
	return p
}

// Ways to wipe that prove something, and an exemption from proof.
const (
	MethodOverwrite = "overwrite"
	MethodSanitize  = "sanitize"
	MethodCrypto    = "crypto-erase"
	MethodExempt    = "exempt"
)

// DiskProof is stored evidence that one disk of a machine was wiped and read
// back, in one release of the machine. Only the server writes it, from the
// report of an agent in the discovery environment. With Method "exempt" it is a
// person's word that the disk need not be wiped, for this release only.
type DiskProof struct {
	Uuid    string
	Machine string // uuid
	Disk    DiskID
	Release int    // Machine.Uses as it was
	Owner   string `json:",omitempty"` // who had the machine last: uuid of a cluster
	Method  string
	Bytes   int64  // written
	Record  string `json:",omitempty"` // the drive's own record of completion
	WipeJob string `json:",omitempty"`
	Wiped   time.Time
	Samples []int64   `json:",omitempty"` // offsets in bytes, read back and found blank
	Read    int64     // bytes read back
	ReadJob string    `json:",omitempty"`
	Proven  time.Time `json:",omitzero"`  // when it was read back, or exempted
	By      string    `json:",omitempty"` // who exempted it
	Reason  string    `json:",omitempty"`
	// Who told of the wipe and of the reading back: the id of their claim to be
	// the machine, and what it rested on (bmc, operator, lease).
	Proof     string `json:",omitempty"`
	Claim     string `json:",omitempty"`
	ReadProof string `json:",omitempty"`
	ReadClaim string `json:",omitempty"`
}

// DiskProofs by uuid. They go with their machine.
var DiskProofs = &resource.Kind[DiskProof]{
	Name: "disk_proofs", Key: func(o *DiskProof) string { return o.Uuid }, Sealed: true,
	Indexes: []resource.Index[DiskProof]{
		byUUID(func(o *DiskProof) string { return o.Uuid }),
		textual("Machine", func(o *DiskProof) string { return o.Machine }),
		scan(textual("Method", func(o *DiskProof) string { return o.Method })),
	},
	Engine: []string{"Uuid", "Machine", "Disk", "Release", "Owner", "Method", "Bytes", "Record", "WipeJob", "Wiped", "Samples", "Read", "ReadJob",
		"Proven", "By", "Reason", "Proof", "Claim", "ReadProof", "ReadClaim"},
	Default: func(o *DiskProof) {
		if o.Uuid == "" {
			o.Uuid = uuid.NewString()
		}
	},
}

// SurveyDisk is a disk of a survey.
type SurveyDisk struct {
	DiskFact
	Foreign  bool   `json:",omitempty"` // what is on it is nobody's that we know of
	Approved string `json:",omitempty"` // who said that it may be overwritten, and when
	Absent   bool   `json:",omitempty"` // seen with data before, and not the last time
}

// DiskSurvey is the last inventory of a machine's disks that an agent in the
// discovery environment took, as the server noted it.
type DiskSurvey struct {
	Machine string // uuid
	Release int    // Machine.Uses as it was
	Job     string
	Proof   string `json:",omitempty"` // what the claim of whoever took it rested on, as "bmc" or "lease"
	Taken   time.Time
	Disks   []SurveyDisk
}

// ByDisk finds surveys by the serial or WWN of a disk.
const ByDisk = "Disk"

// DiskSurveys by the uuid of their machine.
var DiskSurveys = &resource.Kind[DiskSurvey]{
	Name: "disk_surveys", Key: func(o *DiskSurvey) string { return o.Machine }, Sealed: true,
	Indexes: []resource.Index[DiskSurvey]{
		keyed("Machine", func(o *DiskSurvey) string { return o.Machine }),
		several(ByDisk, func(o *DiskSurvey) []string {
			var out []string
			for _, d := range o.Disks {
				out = append(out, one(d.Serial)...)
				out = append(out, one(d.WWN)...)
			}
			return out
		}),
	},
	Engine: []string{"Machine", "Release", "Job", "Proof", "Taken", "Disks"},
	Default: func(o *DiskSurvey) {
		if o.Disks == nil {
			o.Disks = []SurveyDisk{}
		}
	},
}

// Unwiped says why the disks of a machine may hold data.
type Unwiped struct {
	Owner  string `json:",omitempty"` // who had it last: uuid of a cluster, "" for a person
	Name   string `json:",omitempty"` // of that cluster
	User   string `json:",omitempty"` // the person, "" if it was none or nobody knows whom
	Tenant string `json:",omitempty"` // that the person was in
	// Parted says that it goes to nobody unwiped: whoever that was is deleted, so
	// that a later one of the name is another, or others may have had it since.
	Parted bool      `json:",omitempty"`
	Why    string    // what began it
	Since  time.Time `json:",omitzero"`
	Wrote  bool      `json:",omitempty"` // an installation has begun since
	// Prepared says that nobody has had what is on it: the pool installed it as
	// the machine came in.
	Prepared bool `json:",omitempty"`
}

// Whose says who had the machine.
func (u *Unwiped) Whose() string {
	switch {
	case u.Name != "":
		return "cluster " + u.Name
	case u.Owner != "":
		return "cluster " + u.Owner
	case u.User != "":
		return "user " + u.User
	}
	return "its last user"
}

// Fence is what is done about a held machine that may still run what it ran.
type Fence struct {
	Says string // what was reached, or what keeps it from that
	Off  bool   // its BMC showed it switched off
	// Spared says that the power is left as it is: nobody knows whether the
	// machine serves somebody.
	Spared bool   `json:",omitempty"`
	Action string `json:",omitempty"` // uuid of the BMC action
}

// Fenced says that the machine is held with data on its disks: it is switched
// off where its BMC can show that, and is given nothing to boot but its disk.
func (m *Machine) Fenced() bool { return m.PoolStatus == HoldDestroy }

// markUsed notes on a machine in a state of use that it is not blank, if
// nobody has: records of older servers, and whoever sets a state by another way.
func (m *Machine) markUsed() {
	switch m.PoolStatus {
	case Building, HoldBuild, InUse, Destroying:
	case HoldDestroy:
		if m.Fence != nil { // held for what was found on it
			return
		}
	default:
		return
	}
	if m.Unwiped == nil && !m.Virtual {
		m.Unwiped = &Unwiped{Owner: m.Owner, Why: "it is " + string(m.PoolStatus), Wrote: true}
	}
}

// Values of Pool.ReleaseProof and Pool.ForeignDisks, and of the preferences that
// speak for pools without them.
const (
	PrefReleaseProof = "releaseProof"
	ReleaseRequired  = "required"
	ReleaseNone      = "none"
	PrefForeignDisks = "foreignDisks"
	ForeignRefuse    = "refuse"
	ForeignOverwrite = "overwrite"
)

// DiskExemption is the body of POST /machines/<id>/exemptDisk.
type DiskExemption struct {
	Disk   string // serial, WWN or kernel name; "none": the machine has no disks
	Reason string
}
