package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"drpd/pkg/auth/claim"
	"drpd/pkg/resource"
)

// Record is who did what, from where, and what came of it. It holds no values
// of objects and no credentials.
type Record struct {
	Time    time.Time
	Action  string // the HTTP method, login, refused or token
	Actor   string
	Origin  string `json:",omitempty"` // address of the client
	Request string `json:",omitempty"` // id of the request
	Path    string `json:",omitempty"`
	Status  int    `json:",omitempty"` // of the reply
	Note    string `json:",omitempty"`
}

// EventType is the type of the events that tell of records. Their Key is the
// path, their Principal the actor.
const EventType = claim.AuditScope

// trailMax is how many records are kept to be asked for; the file (AuditLog) and
// the log have more.
const trailMax = 4096

// trail is a ring of the newest records.
type trail struct {
	mu   sync.Mutex // guards below
	ring []Record
	next int
}

func (t *trail) add(r Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.ring) < trailMax {
		t.ring = append(t.ring, r)
		return
	}
	t.ring[t.next] = r
	t.next = (t.next + 1) % trailMax
}

// Audit logs a record, keeps it, and tells those who watch. What the record
// leaves open of the request comes from ctx (resource.WithOrigin).
func (a *Auth) Audit(ctx context.Context, r Record) {
	o := resource.OriginOf(ctx)
	r.Time = a.cfg.Now()
	r.Origin, r.Request, r.Path = cmp.Or(r.Origin, o.Address), cmp.Or(r.Request, o.Request), cmp.Or(r.Path, o.Path)
	a.cfg.Log.Info("audit", "action", r.Action, "actor", r.Actor, "client", r.Origin, "request", r.Request,
		"path", r.Path, "status", r.Status, "note", r.Note)
	a.trail.add(r)
	if a.cfg.Audit != nil {
		a.cfg.Audit(r)
	}
	data, err := json.Marshal(r)
	if err != nil {
		return // it has strings and numbers only
	}
	a.cfg.DB.Publish(resource.Event{Type: EventType, Action: r.Action, Key: r.Path, Principal: r.Actor, Object: data})
}

// Records are the newest records that keep lets through, newest first, at most
// limit.
func (a *Auth) Records(limit int, keep func(Record) bool) []Record {
	a.trail.mu.Lock()
	all := slices.Concat(a.trail.ring[a.trail.next:], a.trail.ring[:a.trail.next])
	a.trail.mu.Unlock()
	out := []Record{}
	for _, r := range slices.Backward(all) {
		if len(out) >= limit {
			break
		}
		if keep == nil || keep(r) {
			out = append(out, r)
		}
	}
	return out
}
