package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"drpd/pkg/api"
	"drpd/pkg/auth/token"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
)

// Lives of tickets after the last sign of life of who used them.
const (
	LapseKnown    = 24 * time.Hour      // GenerateToken
	LapseInfinite = 30 * 24 * time.Hour // GenerateInfiniteToken, and those of profiles
)

// claimOf is the claim that a token rests on: the one in it, or that for which
// its ticket was used. A token whose claim was replaced has ended.
func claimOf(r resource.Reader, machine string, p token.Payload) (string, error) {
	c, err := proof.Claims.Get(r, machine)
	if err != nil {
		c = &proof.Claim{}
	}
	if p.Claim == "" && p.Ticket == "" {
		if p.Kind == token.Machine && p.Grantor != "" && c.Proof.Strong() && c.Id != p.Over {
			return "", &supersededError{machine, c.Address}
		}
		return "", nil // it rests on who granted it
	}
	held := p.Claim
	if p.Ticket != "" {
		t := c.Find(p.Ticket)
		if t == nil {
			return "", nil // not used yet
		}
		held = t.Claim
	}
	if held != c.Id {
		return "", &supersededError{machine, c.Address}
	}
	return held, nil
}

// supersededError refuses a token of a claimant whom another one has followed.
type supersededError struct{ machine, by string }

func (e *supersededError) Error() string {
	return fmt.Sprintf("%v: %s has proven to be machine %s since", token.ErrRevoked, e.by, e.machine)
}

func (e *supersededError) Unwrap() error { return token.ErrRevoked }

// noteSuperseded tells of a token that is used after another claimant came, at
// most once a minute for each machine.
func (a *Auth) noteSuperseded(ctx context.Context, err error, from string, now time.Time) {
	s, ok := errors.AsType[*supersededError](err)
	if !ok {
		return
	}
	if last, ok := a.superseded.Load(s.machine); ok && now.Sub(last.(time.Time)) < time.Minute {
		return
	}
	a.superseded.Store(s.machine, now)
	err = a.cfg.DB.Update(ctx, func(tx *resource.Tx) error { return proof.Superseded(tx, now, s.machine, from) })
	if err != nil {
		a.cfg.Log.Warn("two claimants of a machine are not told", "machine", s.machine, "err", err)
	}
}

// whoamiPath is the one route that takes a claim by itself.
const whoamiPath = "/api/v3/whoami"

// ticketed checks a token that travels in the clear: only who used it first may
// go on, for as long as they give signs of life; whoever comes first in time and
// can prove to be the machine is that.
func (a *Auth) ticketed(ctx context.Context, i Identity, from string, path string, now time.Time) (Identity, error) {
	p := &i.g.payload
	if p.Ticket == "" {
		return i, nil
	}
	if i.unclaimed() {
		if !now.Before(p.UseBy) {
			return Identity{}, fmt.Errorf("%w: %w: this ticket was to be used by %s", ErrDenied, token.ErrExpired, p.UseBy.Format(time.RFC3339))
		}
		if path == whoamiPath {
			return i, nil // which takes the claim itself, with all that the caller tells
		}
		return a.redeem(ctx, i, from)
	}
	c, err := proof.Claims.Get(i.view, i.g.machine)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrDenied, token.ErrRevoked)
	}
	t := c.Find(p.Ticket)
	if t == nil || t.Address != from && !a.moved(i.view, i.g.machine, from, now) {
		return Identity{}, fmt.Errorf("%w: this ticket belongs to the machine at %s", ErrDenied, c.Address)
	}
	if last := a.lastSeen(c); now.Sub(last) > p.Lapse {
		return Identity{}, fmt.Errorf("%w: %w: nothing was heard of its agent since %s", ErrDenied, token.ErrExpired, last.UTC().Format(time.RFC3339))
	}
	return i, nil
}

// moved says whether an address is leased to the machine itself, which got
// another one.
func (a *Auth) moved(v *resource.View, machine, from string, now time.Time) bool {
	addr, err := netip.ParseAddr(from)
	m, gone := api.Machines.Get(v, machine)
	if err != nil || gone != nil {
		return false
	}
	k, _ := proof.At(v, now, m, addr)
	return k == proof.Lease
}

// redeem uses a ticket for the first time, for an agent that never says whoami.
func (a *Auth) redeem(ctx context.Context, i Identity, from string) (Identity, error) {
	addr, err := netip.ParseAddr(from)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: the address %q cannot be read", ErrDenied, from)
	}
	var refusal string
	err = a.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		m, err := api.Machines.Get(tx, i.g.machine)
		if err != nil {
			return err
		}
		_, refusal, err = a.Take(tx, i, m, addr, "")
		return err
	})
	if err != nil {
		return Identity{}, err
	}
	if refusal != "" {
		return Identity{}, fmt.Errorf("%w: %s", ErrDenied, refusal)
	}
	return a.Refresh(i)
}

// Take is proof.Take for a caller: what its token says counts.
func (a *Auth) Take(tx *resource.Tx, by Identity, m *api.Machine, addr netip.Addr, system string) (*proof.Claim, string, error) {
	now := a.cfg.Now()
	who := proof.Claimant{Address: addr.Unmap(), System: system}
	held, ticket, intent, operator := by.Held()
	if by.Machine() == m.Uuid || operator {
		who.Held, who.Ticket, who.Intent = held, ticket, intent
	}
	who.Operator = operator && (by.Key == m.Uuid || by.Key == "" && !m.Owned()) && !proof.Spent(tx, ticket, m.Uuid)
	if c, err := proof.Claims.Get(tx, m.Uuid); err == nil {
		who.Live = now.Sub(a.lastSeen(c)) < proof.LiveFor
		spoke := a.signs.last(m.Uuid)
		who.Spoke = now.Sub(spoke) < proof.LiveFor && spoke.After(c.Since)
	}
	return proof.Take(tx, now, m, who)
}

// signs are the last signs of life of machines' agents, by uuid. They are kept
// in memory and written down now and then, see Run.
type signs struct {
	started time.Time
	by      sync.Map // uuid to *atomic.Int64, Unix seconds
}

func (s *signs) saw(machine string, now time.Time) {
	at, ok := s.by.Load(machine)
	if !ok {
		at, _ = s.by.LoadOrStore(machine, &atomic.Int64{})
	}
	at.(*atomic.Int64).Store(now.Unix())
}

func (s *signs) last(machine string) time.Time {
	if at, ok := s.by.Load(machine); ok {
		return time.Unix(at.(*atomic.Int64).Load(), 0)
	}
	return time.Time{}
}

// lastSeen is the last sign of life of who speaks for a machine. What was heard
// shortly before a restart may not be written down: for a while after it whoever
// was there counts as being there.
func (a *Auth) lastSeen(c *proof.Claim) time.Time {
	last := a.signs.last(c.Machine)
	if c.Seen.After(last) {
		last = c.Seen
	}
	if last.Before(a.signs.started) && a.signs.started.Sub(last) < 2*flushAfter {
		return a.signs.started
	}
	return last
}

const (
	flushAfter = time.Hour        // how far what is written down may be behind
	flushEvery = 10 * time.Minute // when it is looked at
)

// Run writes down signs of life until ctx ends.
func (a *Auth) Run(ctx context.Context) error {
	t := time.NewTicker(flushEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			a.flush(ctx)
		}
	}
}

func (a *Auth) flush(ctx context.Context) {
	var late []string
	for c := range proof.Claims.All(a.cfg.DB.View()) {
		if a.signs.last(c.Machine).Sub(c.Seen) > flushAfter {
			late = append(late, c.Machine)
		}
	}
	if len(late) == 0 {
		return
	}
	err := a.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		for _, id := range late {
			err := proof.Claims.Modify(tx, id, func(c *proof.Claim) error { c.Seen = a.signs.last(id); return nil })
			if err != nil && resource.CodeOf(err) != resource.NotFound {
				return err
			}
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		a.cfg.Log.Warn("signs of life of agents not written down", "err", err)
	}
}

// Ticket issues a token that goes over plain HTTP: of a machine, or of a profile
// that it carries.
func (a *Auth) Ticket(m *api.Machine, profile string, lapse time.Duration) (string, error) {
	p := token.Payload{Subject: "machines/" + m.Uuid, Kind: token.Machine, Key: m.Uuid}
	if profile != "" {
		if !carries(a.cfg.DB.View(), m.Uuid, profile) {
			return "", notCarried(m.Uuid, profile)
		}
		p.Kind, p.Claims = token.Profile, profileClaims(profile)
	}
	p.Ticket, p.UseBy, p.Lapse = uuid.NewString(), a.cfg.Now().Add(proof.TicketUse).Truncate(time.Second), lapse
	if m.Boot != nil {
		p.Intent = m.Boot.Intent
	}
	return a.mint(Identity{}, p, MaxTTL)
}

// MaxJoin bounds the life of a join token.
const MaxJoin = 7 * 24 * time.Hour

// JoinToken is an operator's word that who brings it is the machine, or, if
// machine is "", a new one or one that nobody uses. It is good for one.
func (a *Auth) JoinToken(by Identity, machine string, ttl time.Duration) (string, error) {
	if ttl == 0 {
		ttl = time.Hour
	}
	if ttl > MaxJoin {
		return "", resource.Errorf(resource.Malformed, "", "", "a join token lives for %s at most", MaxJoin)
	}
	p := token.Payload{Subject: "join", Kind: token.Join, Key: machine, Ticket: uuid.NewString()}
	p.UseBy = a.cfg.Now().Add(ttl).Truncate(time.Second)
	return a.mint(by, p, ttl)
}

// ClaimToken is the token of an agent that has claimed a machine.
func (a *Auth) ClaimToken(c *proof.Claim, ttl time.Duration) (string, error) {
	return a.mint(Identity{}, token.Payload{Subject: "machines/" + c.Machine, Kind: token.Machine, Key: c.Machine, Claim: c.Id}, ttl)
}
