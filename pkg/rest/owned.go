package rest

import (
	"encoding/json"
	"slices"
	"strings"

	"drpd/pkg/api"
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
	"Protected":      "POST /clusters/<id>/protect and /unprotect set it (drpcli clusters unprotect <id>)",
	"ProtectedBy":    "POST /clusters/<id>/protect and /unprotect set it",
	"ProtectedDisks": "the server keeps it; POST /machines/<id>/unprotect lifts it",
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

// mixIn are fields that DRP's clients send along in whole objects and that
// only the server computes: they are ignored there.
var mixIn = []string{"Validated", "Available", "Errors", "ReadOnly", "Bundle", "Endpoint", "Partial"}

// serverField finds the field of the server's that a name means, "" if users
// set it. encoding/json matches names without regard to case.
func (h *kindServer) serverField(name string) string {
	same := func(f string) bool { return strings.EqualFold(f, name) }
	if i := slices.IndexFunc(h.kind.EngineFields(), same); i >= 0 {
		return h.kind.EngineFields()[i]
	}
	i := slices.IndexFunc(mixIn, same)
	if i < 0 || h.layout().has(mixIn[i]) && !h.hasCommon() {
		return ""
	}
	return mixIn[i]
}

func (h *kindServer) hasCommon() bool {
	zero, err := h.kind.Decode([]byte("{}"))
	return err == nil && h.kind.CommonOf(zero) != nil
}

// isKey says whether the field alone makes the key of an object.
func (h *kindServer) isKey(field string, v json.RawMessage) bool {
	data, err := json.Marshal(map[string]json.RawMessage{field: v})
	if err != nil {
		return false
	}
	val, err := h.kind.Decode(data)
	return err == nil && h.kind.KeyOf(val) != ""
}

// sent reads a whole object as a client sends it, without what the server
// computes. claimed are fields of the server's that have a value.
func (h *kindServer) sent(data []byte) (m, claimed map[string]json.RawMessage, err error) {
	if m, err = raw(data); err != nil {
		if _, plain := h.kind.Decode(data); plain != nil {
			err = plain
		}
		return nil, nil, err
	}
	claimed = map[string]json.RawMessage{}
	for name, v := range m {
		field := h.serverField(name)
		switch {
		case field == "":
		case field == "Partial" && string(v) == "true":
			return nil, nil, resource.Errorf(resource.Malformed, h.kind.KindName(), "", "Partial is true: an object that was thinned out cannot be stored, read it whole")
		case slices.Contains(mixIn, field) || emptyJSON(v):
			delete(m, name)
		case h.isKey(field, v):
		default:
			claimed[field] = v
			delete(m, name)
		}
	}
	return m, claimed, nil
}

// plain is the text of a new object, and what it claims of the server's fields.
func (h *kindServer) plain(data []byte) ([]byte, map[string]json.RawMessage, error) {
	if h.kind.KindName() == api.ContentPacks.Name {
		return h.withoutEmpty(data), nil, nil
	}
	m, claimed, err := h.sent(data)
	if err != nil {
		return nil, nil, err
	}
	data, err = json.Marshal(m)
	return h.withoutEmpty(data), claimed, err
}

// agree refuses a new object that claimed other values for fields of the
// server's than it got: so an object that was shown can be created again.
func agree(made resource.Object, claimed map[string]json.RawMessage) error {
	for field, v := range claimed {
		if !sameJSON(v, member(made.JSON, field)) {
			return ownedBy(made.Kind, made.Key, field)
		}
	}
	return nil
}

// whole is the text that replaces an object: as it was sent, but with the
// server's fields as they are.
func (h *kindServer) whole(data []byte, o resource.Object) ([]byte, error) {
	if h.kind.KindName() == api.ContentPacks.Name {
		return h.withoutEmpty(data), nil
	}
	m, claimed, err := h.sent(data)
	if err != nil {
		return nil, err
	}
	if err := agree(o, claimed); err != nil {
		return nil, err
	}
	for _, field := range append(slices.Clone(h.kind.EngineFields()), mixIn...) {
		if v := member(o.JSON, field); v != nil && m[field] == nil {
			m[field] = v
		}
	}
	data, err = json.Marshal(m)
	return h.withoutEmpty(data), err
}
