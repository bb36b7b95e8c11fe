package cli

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"drpd/pkg/client"
)

// supportCmd packs what somebody needs who is asked for help.
func (s *session) supportCmd() *cobra.Command {
	pack := s.verb("bundle [<file>]", "Save what the server says of itself: info, counts, log, waits, stuck work, preferences.",
		func(ctx context.Context, args []string) error {
			return s.bundleServer(ctx, s.bundleName("drp-support", args))
		})
	for name, what := range map[string]string{"since": "", "dr-user": "", "drp-basedir": "", "extra-dirs": ""} {
		pack.Flags().String(name, what, "known for the sake of scripts")
		_ = pack.Flags().MarkHidden(name)
	}
	return s.parent("support", "Save what somebody needs who is asked for help.", "  drpcli support bundle\n  drpcli support machine-bundle n1", pack,
		s.verb("machine-bundle <id> [<file>]", "Save a machine with its params, jobs and logs.", func(ctx context.Context, args []string) error {
			return s.bundleMachine(ctx, args[0], s.bundleName("drp-machine-support", args[1:]))
		}))
}

func (s *session) bundleName(what string, args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return fmt.Sprintf("%s-bundle-%s.zip", what, s.cfg.Now().UTC().Format("2006-01-02-15-04-05"))
}

// zipped writes files that only the user reads; a part that cannot be had is
// replaced by the reason.
type zipped struct {
	*session
	w *zip.Writer
}

func (s *session) zipFile(file string, fill func(z *zipped) error) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("save %s: %w", file, err)
	}
	w := zip.NewWriter(f)
	err = errors.Join(fill(&zipped{s, w}), w.Close(), f.Close())
	if err == nil {
		s.note("saved %s", file)
	}
	return err
}

func (z *zipped) add(ctx context.Context, name, path string, q url.Values) error {
	out, err := z.w.Create(name)
	if err != nil {
		return err
	}
	resp, err := z.conn().stream(ctx, client.Request{Path: path, Query: q})
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%v\n", err)
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(out, resp.Body)
	return err
}

func (s *session) bundleServer(ctx context.Context, file string) error {
	if err := s.conn().get(ctx, "/info", nil, nil); err != nil {
		return about(err, "get /info")
	}
	return s.zipFile(file, func(z *zipped) error {
		slim := url.Values{"slim": {"Params,Meta"}}
		parts := []struct {
			name, path string
			q          url.Values
		}{{"info.json", "/info", nil}, {"logs.json", "/logs", nil}, {"objects.json", "/objects", nil}, {"indexes.json", "/indexes", nil},
			{"contents.json", "/contents", nil}, {"interfaces.json", "/interfaces", nil}, {"subnets.json", "/subnets", nil},
			{"machines.json", "/machines", slim}, {"clusters.json", "/clusters", slim}, {"bmc_actions.json", "/bmc_actions", nil},
			{"failed_jobs.json", "/jobs", url.Values{"State": {"failed"}}}, {"failed_work_orders.json", "/work_orders", url.Values{"State": {"failed"}}}}
		for _, p := range parts {
			if err := z.add(ctx, p.name, p.path, p.q); err != nil {
				return fmt.Errorf("support bundle: %s: %w", p.name, err)
			}
		}
		return nil
	})
}

func (s *session) bundleMachine(ctx context.Context, ref, file string) error {
	key, err := s.runnerKey(ctx, ref)
	if err != nil {
		return err
	}
	var jobs []doc
	if err := s.conn().get(ctx, "/jobs", url.Values{"Machine": {key}, "sort": {"StartTime"}}, &jobs); err != nil {
		return about(err, "jobs of %s", ref)
	}
	return s.zipFile(file, func(z *zipped) error {
		err := errors.Join(z.add(ctx, "machine.json", at("machines", key), nil), z.add(ctx, "why.json", at("why", "machines", key), nil),
			z.add(ctx, "params.json", at("machines", key, "params"), url.Values{"aggregate": {"true"}}))
		for i, j := range jobs {
			id := j.text("Uuid")
			name := fmt.Sprintf("jobs/%03d-%s", i, id)
			err = errors.Join(err, z.add(ctx, name+".json", at("jobs", id), nil), z.add(ctx, name+".log", at("jobs", id, "log"), nil))
		}
		return err
	})
}
