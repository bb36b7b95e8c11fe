package token

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// wire is the signed form of a payload: short names, because every byte of it
// travels with each request.
type wire struct {
	Subject string      `json:"s"`
	Kind    Kind        `json:"t"`
	Key     string      `json:"k,omitempty"`
	Grantor string      `json:"g,omitempty"`
	Claims  [][3]string `json:"c,omitempty"`
	Roles   []string    `json:"r,omitempty"`
	Issued  int64       `json:"i"` // Unix seconds
	Expires int64       `json:"e"`
	Bound   []byte      `json:"b"` // see binding
	Claim   string      `json:"m,omitempty"`
	Over    string      `json:"v,omitempty"`
	Ticket  string      `json:"n,omitempty"`
	UseBy   int64       `json:"u,omitempty"` // Unix seconds
	Lapse   int64       `json:"l,omitempty"` // seconds
	Intent  string      `json:"o,omitempty"`
}

var kinds = []Kind{User, Machine, Boot, Unknown, Job, Profile, Plugin, Join}

func encode(p Payload, bound []byte) ([]byte, error) {
	if !slices.Contains(kinds, p.Kind) {
		return nil, fmt.Errorf("kind %q, want one of %v", p.Kind, kinds)
	}
	w := wire{
		Subject: p.Subject, Kind: p.Kind, Key: p.Key, Grantor: p.Grantor, Roles: p.Roles,
		Issued: p.Issued.Unix(), Expires: p.Expires.Unix(), Bound: bound,
		Claim: p.Claim, Over: p.Over, Ticket: p.Ticket, Lapse: int64(p.Lapse / time.Second), Intent: p.Intent,
	}
	if !p.UseBy.IsZero() {
		w.UseBy = p.UseBy.Unix()
	}
	for _, c := range p.Claims {
		w.Claims = append(w.Claims, [3]string{c.Scope, c.Action, c.Specific})
	}
	return json.Marshal(w)
}

func decode(body []byte) (Payload, []byte, error) {
	var w wire
	if err := json.Unmarshal(body, &w); err != nil {
		return Payload{}, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if !slices.Contains(kinds, w.Kind) {
		return Payload{}, nil, fmt.Errorf("%w: kind %q", ErrMalformed, w.Kind)
	}
	p := Payload{
		Subject: w.Subject, Kind: w.Kind, Key: w.Key, Grantor: w.Grantor, Roles: w.Roles,
		Issued: time.Unix(w.Issued, 0).UTC(), Expires: time.Unix(w.Expires, 0).UTC(),
		Claim: w.Claim, Over: w.Over, Ticket: w.Ticket, Lapse: time.Duration(w.Lapse) * time.Second, Intent: w.Intent,
	}
	if w.UseBy != 0 {
		p.UseBy = time.Unix(w.UseBy, 0).UTC()
	}
	for _, c := range w.Claims {
		p.Claims = append(p.Claims, Claim{Scope: c[0], Action: c[1], Specific: c[2]})
	}
	return p, w.Bound, nil
}
