package api

import (
	"time"

	"github.com/google/uuid"

	"drpd/pkg/resource"
)

// BMCWant is what a management controller shall do.
type BMCWant string

// What can be asked of a BMC. The boot wishes set the device for the next boot
// and then switch the machine on, through off if it is on.
const (
	BMCOn       BMCWant = "poweron"
	BMCOff      BMCWant = "poweroff"
	BMCCycle    BMCWant = "powercycle"
	BMCBootPXE  BMCWant = "forcebootpxe"
	BMCBootDisk BMCWant = "forcebootdisk"
	BMCStatus   BMCWant = "powerstatus"
)

// BMCAction is one effect on one management controller, from wish to outcome.
// It is stored before anything is sent.
type BMCAction struct {
	Uuid     string
	Machine  string // uuid
	Want     BMCWant
	Intent   string `json:",omitempty"` // the BootState.Intent it serves
	State    string // wanted, working, done, failed, cancelled
	Tries    int
	Created  time.Time
	NextTry  time.Time
	Deadline time.Time
	Ended    time.Time
	Error    string `json:",omitempty"` // the last error, kept after success
	Power    string `json:",omitempty"` // what the BMC reported: on, off
	// SystemUUID is that of the machine which the BMC says it is in.
	SystemUUID string `json:",omitempty"`
}

// BMCActions by uuid. A person's wish is an action on the machine, which asks
// for that right, checks that there is a BMC and cancels what was under way.
var BMCActions = &resource.Kind[BMCAction]{
	Name: "bmc_actions", Key: func(o *BMCAction) string { return o.Uuid }, Sealed: true,
	Indexes: []resource.Index[BMCAction]{
		byUUID(func(o *BMCAction) string { return o.Uuid }),
		textual("Machine", func(o *BMCAction) string { return o.Machine }),
		textual("State", func(o *BMCAction) string { return o.State }),
		textual("SystemUUID", func(o *BMCAction) string { return o.SystemUUID }),
	},
	Engine: []string{"Uuid", "Machine", "Want", "Intent", "State", "Tries", "Created", "NextTry", "Deadline", "Ended", "Error", "Power", "SystemUUID"},
	Default: func(o *BMCAction) {
		if o.Uuid == "" {
			o.Uuid = uuid.NewString()
		}
		if o.State == "" {
			o.State = "wanted"
		}
	},
}

// Over reports whether the action has an outcome.
func (o *BMCAction) Over() bool {
	return o.State == "done" || o.State == "failed" || o.State == "cancelled"
}

// BootRecord is the flight recorder of one MAC address: when each step of its
// last boot was seen.
type BootRecord struct {
	Mac     string
	Machine string `json:",omitempty"`
	Steps   []BootStep
}

// BootStep is one fact about a boot.
type BootStep struct {
	Step   string // dhcp, tftp, http, kernel, agent
	Time   time.Time
	Detail string `json:",omitempty"`
}

// BootRecords by MAC address.
var BootRecords = &resource.Kind[BootRecord]{
	Name: "boot_records", Key: func(o *BootRecord) string { return o.Mac }, Sealed: true,
	Indexes: []resource.Index[BootRecord]{
		ofMAC(keyed("Mac", func(o *BootRecord) string { return o.Mac })),
		textual("Machine", func(o *BootRecord) string { return o.Machine }),
	},
	Engine: []string{"Mac", "Machine", "Steps"},
}
