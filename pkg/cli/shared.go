package cli

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"drpd/pkg/api"
)

// Shared lets the verbs of other packages speak to the same server and print
// the same way.
type Shared struct{ s *session }

// Verb makes a command whose arguments follow its use line.
func (h Shared) Verb(use, short string, run func(ctx context.Context, args []string) error) *cobra.Command {
	return h.s.verb(use, short, run)
}

// Print writes a result in the format that was asked for.
func (h Shared) Print(v any) error {
	data, err := encode(v, "")
	if err != nil {
		return err
	}
	var d doc
	if err := d.UnmarshalJSON(data); err != nil {
		return err
	}
	return h.s.print("", d)
}

// Post sends a body and decodes the reply.
func (h Shared) Post(ctx context.Context, path string, body, out any) error {
	return h.s.conn().call(ctx, http.MethodPost, path, nil, body, out)
}

// Seat is what an agent needs to work for a machine.
type Seat struct {
	Machine, Env                   string // uuid; the boot environment it is in
	Endpoint, Token, CAFingerprint string
}

// Sit finds a machine, by the first word or else RS_UUID, and what its agent
// needs. The CA is the one above the certificate that this drpcli trusts.
func (h Shared) Sit(ctx context.Context, args []string) (Seat, error) {
	ref := h.s.env["RS_UUID"]
	if len(args) > 0 {
		ref = args[0]
	}
	if ref == "" {
		return Seat{}, failf(exitUsage, "missing: <id>, or RS_UUID")
	}
	key, err := h.s.runnerKey(ctx, ref)
	if err != nil {
		return Seat{}, err
	}
	var m, token doc
	if err := h.s.conn().get(ctx, at("machines", key), nil, &m); err != nil {
		return Seat{}, about(err, "machine %s", ref)
	}
	if err := h.s.conn().get(ctx, at("machines", key, "token"), url.Values{"ttl": {"3y"}}, &token); err != nil {
		return Seat{}, about(err, "token of machine %s", ref)
	}
	ca, err := h.s.conn().api.CA(ctx)
	if err != nil {
		return Seat{}, about(err, "the server's CA")
	}
	return Seat{Machine: key, Env: m.text("BootEnv"), Endpoint: h.s.conn().endpoint, Token: token.text("Token"), CAFingerprint: ca}, nil
}

// Await waits until a machine is as the conditions of "machines await" want.
func (h Shared) Await(ctx context.Context, machine string, conditions ...string) error {
	g := &group{h.s, api.Machines, "machines"}
	want, err := parseCondition(conditions)
	if err != nil {
		return err
	}
	return g.pollOn(ctx, eventsOf(g.name, machine), func(ctx context.Context) (bool, error) { return g.holds(ctx, machine, want) })
}
