package rest

import (
	"slices"
	"strings"

	"drpd/pkg/resource"
)

// setters says who sets fields that users may not.
var setters = map[string]string{
	"Validated":      "the server computes it",
	"Available":      "the server computes it from what the object refers to",
	"Errors":         "the server computes it",
	"ReadOnly":       "it says that a content pack holds the object",
	"Bundle":         "it names the content pack that holds the object",
	"Uuid":           "the server makes it when the object is created",
	"Secret":         "the server makes it; a new password or token secret revokes old tokens",
	"PasswordHash":   "PUT /users/<name>/password sets it",
	"CurrentJob":     "POST /jobs sets it",
	"Pool":           "the pool operations addMachines and removeMachines set it",
	"PoolAllocated":  "the pool operations allocateMachines and releaseMachines set it",
	"PoolStatus":     "the pool operations set it",
	"PoolHoldReason": "the pool operations set it",
	"Owner":          "clusters take and release machines by themselves",
	"Generation":     "provisioning a cluster counts it",
	"Boot":           "the server keeps it from changing BootEnv until the agent calls home",
}

// ownedBy refuses a write to a field of the server's.
func ownedBy(kind, key, field string) error {
	who := setters[field]
	if who == "" {
		who = "the server sets it"
	}
	return resource.Errorf(resource.Invalid, kind, key, "field %s cannot be set here: %s", field, who)
}

// checkNew refuses a new object that sets fields of the server's.
func (h *kindServer) checkNew(val any, data []byte) error {
	for _, name := range h.kind.EngineFields() {
		f, ok := h.cfg.DB.Field(h.kind.KindName(), val, name)
		if !ok || !f.IsZero() {
			return checkRaw(h.kind, data) // look how it was said
		}
	}
	return nil
}

// checkRaw refuses a new object that sets fields of the server's. Validated
// and Available may be true, so that a shown object can be created elsewhere.
func checkRaw(k resource.Any, data []byte) error {
	m, err := raw(data)
	if err != nil {
		return err
	}
	for name, v := range m {
		// encoding/json matches names without regard to case
		i := slices.IndexFunc(k.EngineFields(), func(f string) bool { return strings.EqualFold(f, name) })
		if i < 0 || emptyJSON(v) {
			continue
		}
		field := k.EngineFields()[i]
		if (field == "Validated" || field == "Available") && string(v) == "true" {
			continue
		}
		return ownedBy(k.KindName(), "", field)
	}
	return nil
}
