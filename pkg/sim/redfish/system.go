package redfish

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

func enabledValues() []string { return []string{Disabled, Once, Continuous} }
func targetValues() []string  { return []string{TargetNone, TargetPXE, TargetDisk} }

func resetTypes() []string {
	return []string{"On", "ForceOff", "GracefulShutdown", "ForceRestart", "PowerCycle"}
}

func (s *Service) getSystem(w http.ResponseWriter, r *http.Request) {
	body, err := s.readSystem(r)
	if err != nil {
		s.broken(w, err)
		return
	}
	send(w, r, body)
}

func (s *Service) getChassis(w http.ResponseWriter, r *http.Request) {
	on, err := s.power(r)
	if err != nil {
		s.broken(w, err)
		return
	}
	send(w, r, s.chassisBody(on))
}

func (s *Service) readSystem(r *http.Request) (object, error) {
	on, err := s.power(r)
	if err != nil {
		return nil, err
	}
	boot, err := s.cfg.Machine.Boot(r.Context())
	if err != nil {
		return nil, err
	}
	return s.systemBody(on, boot.normal()), nil
}

// power is what the controller says, which a fault may make a lie.
func (s *Service) power(r *http.Request) (bool, error) {
	if lie := s.cfg.Faults.claim(); lie != "" {
		return lie == powerState(true), nil
	}
	return s.cfg.Machine.On(r.Context())
}

func (s *Service) broken(w http.ResponseWriter, err error) {
	s.cfg.Log.Error("simulated machine does not answer", "node", s.cfg.System.Name, "error", err)
	fail(w, http.StatusInternalServerError, internalError(err))
}

// bootPatch is the only writable part of a system. Pointers tell an absent
// property from an empty one.
type bootPatch struct {
	Enabled *string `json:"BootSourceOverrideEnabled"`
	Target  *string `json:"BootSourceOverrideTarget"`
	Mode    *string `json:"BootSourceOverrideMode"`
}

func (s *Service) patchSystem(w http.ResponseWriter, r *http.Request) {
	current, err := s.readSystem(r)
	if err != nil {
		s.broken(w, err)
		return
	}
	if match := r.Header.Get("If-Match"); match != "" && !matches(match, etag(encode(current))) {
		fail(w, http.StatusPreconditionFailed, preconditionFailed())
		return
	}
	var patch bootPatch
	if problem := readPatch(r, &patch); problem != nil {
		fail(w, problem.status, problem.message)
		return
	}
	boot, err := s.cfg.Machine.Boot(r.Context())
	if err != nil {
		s.broken(w, err)
		return
	}
	next, problem := patch.apply(boot.normal(), s.mode())
	if problem != nil {
		fail(w, problem.status, problem.message)
		return
	}
	if err := s.cfg.Machine.SetBoot(r.Context(), next); err != nil {
		s.broken(w, err)
		return
	}
	s.getSystem(w, r)
}

// readPatch takes the body apart level by level, so that a property which is
// not writable is named in the answer.
func readPatch(r *http.Request, patch *bootPatch) *problem {
	var top map[string]json.RawMessage
	if p := decode(r, &top); p != nil {
		return p
	}
	if p := onlyWritable(top, "Boot"); p != nil {
		return p
	}
	var inner map[string]json.RawMessage
	if err := json.Unmarshal(top["Boot"], &inner); err != nil {
		return bad(valueTypeError(string(top["Boot"]), "Boot"))
	}
	if p := onlyWritable(inner, "BootSourceOverrideEnabled", "BootSourceOverrideTarget", "BootSourceOverrideMode"); p != nil {
		return p
	}
	if err := json.Unmarshal(top["Boot"], patch); err != nil {
		return bad(valueTypeError(string(top["Boot"]), "Boot"))
	}
	return nil
}

func onlyWritable(body map[string]json.RawMessage, names ...string) *problem {
	if len(body) == 0 {
		return bad(emptyBody())
	}
	for name := range body {
		if !slices.Contains(names, name) {
			return bad(propertyNotWritable(name))
		}
	}
	return nil
}

// apply merges the patch into the override. Setting only a target makes it
// count once, which is what clients mean that leave the rest out.
func (p bootPatch) apply(boot Boot, mode string) (Boot, *problem) {
	checks := []struct {
		value   *string
		name    string
		allowed []string
	}{
		{p.Enabled, "BootSourceOverrideEnabled", enabledValues()},
		{p.Target, "BootSourceOverrideTarget", targetValues()},
		{p.Mode, "BootSourceOverrideMode", []string{mode}},
	}
	for _, c := range checks {
		if c.value != nil && !slices.Contains(c.allowed, *c.value) {
			return boot, bad(propertyValueNotInList(*c.value, c.name, c.allowed))
		}
	}
	if p.Target != nil {
		boot.Target = *p.Target
		if boot.Enabled == Disabled {
			boot.Enabled = Once
		}
	}
	if p.Enabled != nil {
		boot.Enabled = *p.Enabled
	}
	return boot.normal(), nil
}

func (s *Service) resetSystem(w http.ResponseWriter, r *http.Request) {
	var body struct{ ResetType *string }
	if problem := decode(r, &body); problem != nil {
		fail(w, problem.status, problem.message)
		return
	}
	if body.ResetType == nil {
		fail(w, http.StatusBadRequest, actionParameterMissing("ResetType"))
		return
	}
	on, err := s.cfg.Machine.On(r.Context())
	if err != nil {
		s.broken(w, err)
		return
	}
	action, known := actionFor(*body.ResetType)
	switch {
	case !known:
		fail(w, http.StatusBadRequest, actionParameterNotInList(*body.ResetType, "ResetType", resetTypes()))
		return
	case action == PowerReset && !on:
		fail(w, http.StatusConflict, conflict(fmt.Sprintf("%s needs a server that is on; this one is off.", *body.ResetType)))
		return
	}
	if err := s.cfg.Machine.Press(r.Context(), action); err != nil {
		s.broken(w, err)
		return
	}
	s.cfg.Log.Info("simulated power action", "node", s.cfg.System.Name, "type", *body.ResetType)
	w.WriteHeader(http.StatusNoContent)
}

func actionFor(resetType string) (Action, bool) {
	switch resetType {
	case "On":
		return PowerOn, true
	case "ForceOff":
		return PowerOff, true
	case "GracefulShutdown":
		return SoftOff, true
	case "ForceRestart", "PowerCycle":
		return PowerReset, true
	}
	return "", false
}
