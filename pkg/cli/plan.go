package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"drpd/pkg/client"
)

// planFormat is that of plan files; other ones are refused.
const planFormat = 1

// maxPlan bounds a plan's file in bytes.
const maxPlan = 64 << 20

// plan is what a dry run would have done, to be done later: just that, or
// nothing if an object changed meanwhile.
type plan struct {
	Format   int
	Endpoint string // the server that it is for
	Made     time.Time
	Steps    []planStep
}

// planStep is one request.
type planStep struct {
	Does   string // in words
	Method string
	Path   string
	Query  url.Values `json:",omitempty"`
	Body   any        `json:",omitempty"`
	ETag   string     `json:",omitempty"` // revision of the object then; none: it is created
}

// planned notes a step for --plan-out.
func (s *session) planned(ctx context.Context, p planStep) error {
	if s.flags.planOut == "" {
		return nil
	}
	if p.Method != http.MethodPost {
		var err error
		if p.ETag, err = s.revision(ctx, p.Path); err != nil {
			return about(err, "plan to %s", p.Does)
		}
	}
	p.Query = s.forced()
	s.steps = append(s.steps, p)
	return nil
}

func (s *session) revision(ctx context.Context, path string) (string, error) {
	r, err := s.conn().raw(ctx, client.Request{Method: http.MethodHead, Path: path})
	if err != nil {
		return "", err
	}
	return r.Header.Get("ETag"), nil
}

// savePlan writes what was planned. It may hold secrets, as the commands did.
func (s *session) savePlan() error {
	if s.flags.planOut == "" {
		return nil
	}
	if len(s.steps) == 0 {
		return failf(exitUsage, "there is no plan to write: this command has nothing to change, or none that can be planned (create, update, patch, destroy and what sets fields and params can)")
	}
	data, err := encode(plan{planFormat, s.conn().endpoint, s.cfg.Now().UTC(), s.steps}, "  ")
	if err != nil {
		return fmt.Errorf("encode plan: %w", err)
	}
	if err := os.WriteFile(s.flags.planOut, data, 0o600); err != nil {
		return fmt.Errorf("save plan: %w", err)
	}
	s.note("plan of %d steps saved; to carry it out: drpcli plan apply %s", len(s.steps), s.flags.planOut)
	return nil
}

func (s *session) planCmd() *cobra.Command {
	return s.parent("plan", "Carry out what --plan-out wrote.",
		"  drpcli machines update n1 Description=old --plan-out p.json\n  drpcli plan show p.json\n  drpcli plan apply p.json",
		s.verb("show <file>", "Print the steps of a plan.", func(_ context.Context, a []string) error {
			p, err := readPlan(a[0])
			if err != nil {
				return err
			}
			for _, step := range p.Steps {
				if err := s.line("%s", step.Does); err != nil {
					return err
				}
			}
			return nil
		}),
		s.verb("apply <file>", "Do exactly what a plan says, or nothing if an object changed since it was made.", func(ctx context.Context, a []string) error {
			p, err := readPlan(a[0])
			if err != nil {
				return err
			}
			if err := s.fresh(ctx, p); err != nil || s.flags.dryRun {
				return err
			}
			return s.apply(ctx, p)
		}))
}

func readPlan(file string) (*plan, error) {
	st, err := os.Stat(file)
	if err != nil {
		return nil, failf(exitUsage, "read plan: %v", err)
	}
	if st.Size() > maxPlan {
		return nil, failf(exitUsage, "read plan: %s has %d bytes, %d at most", file, st.Size(), maxPlan)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, failf(exitUsage, "read plan: %v", err)
	}
	p := &plan{}
	if err := json.Unmarshal(data, p); err != nil || p.Format != planFormat || len(p.Steps) == 0 {
		return nil, failf(exitUsage, "%s is no plan of format %d: make one with --plan-out", file, planFormat)
	}
	return p, nil
}

// fresh looks at everything that a plan is about before anything is changed.
func (s *session) fresh(ctx context.Context, p *plan) error {
	if c := s.conn(); c.err != nil || c.endpoint != p.Endpoint {
		if c.err != nil {
			return c.err
		}
		return failf(exitRefused, "the plan is for %s, not for %s", p.Endpoint, c.endpoint)
	}
	for _, step := range p.Steps {
		if step.ETag == "" {
			continue
		}
		now, err := s.revision(ctx, step.Path)
		if err != nil && !isNotFound(err) {
			return about(err, "look whether the plan still holds")
		}
		if err != nil || now != step.ETag {
			return &failure{code: exitRefused, what: "the plan is stale, nothing was done: " + step.Path[1:] + " changed since it was made",
				fix: "make the plan anew with --plan-out and look at it again"}
		}
	}
	return nil
}

// apply sends the steps, each on the condition that only steps before it
// changed the object.
func (s *session) apply(ctx context.Context, p *plan) error {
	now := map[string]string{} // revisions that our own steps made
	for i, step := range p.Steps {
		h := http.Header{}
		if tag := step.ETag; tag != "" {
			if own := now[step.Path]; own != "" {
				tag = own
			}
			h.Set("If-Match", tag)
		}
		r, err := s.conn().raw(ctx, client.Request{Method: step.Method, Path: step.Path, Query: step.Query, Header: h, In: step.Body, Once: step.Method == http.MethodPost})
		if err != nil {
			return about(err, "%s (step %d of %d of the plan; those before it are done)", step.Does, i+1, len(p.Steps))
		}
		now[step.Path] = r.Header.Get("ETag")
		if err := s.line("%s: done", step.Does); err != nil {
			return err
		}
	}
	return nil
}

// onlyReads refuses what would change something while a plan is made: not every
// verb knows dry runs.
func (c *conn) onlyReads(method, path string) error {
	if !c.planning || method == "" || method == http.MethodGet || method == http.MethodHead {
		return nil
	}
	return failf(exitUsage, "this command cannot be planned: it would have sent %s %s", method, path)
}
