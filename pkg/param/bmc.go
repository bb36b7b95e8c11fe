package param

import (
	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Params that say whether a machine has a BMC.
const (
	BMCEnabled = "ipmi/enabled"
	BMCAddress = "ipmi/address"
)

// HasBMC says whether drpd may drive the machine's BMC.
func HasBMC(r resource.Reader, m *api.Machine) bool {
	s := Scope{Machine: m}
	enabled, _, ok := Get(r, s, BMCEnabled)
	addr, _, _ := Get(r, s, BMCAddress)
	if ok && enabled == false {
		return false
	}
	text, _ := addr.(string)
	return text != ""
}
