package cli

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"drpd/pkg/api"
)

// bootEnvVerbs are the extras of bootenvs.
func (g *group) bootEnvVerbs() []*cobra.Command {
	skip := false
	install := g.cmd("install <file> [<folder>]", "Store a bootenv from a file, with the templates beside it, and its images.", func(ctx context.Context, args []string) error {
		return g.installEnv(ctx, args, skip)
	})
	install.Flags().BoolVar(&skip, "skip-download", false, "fetch no images that the folder (default isos) lacks")
	explode := false
	purge := g.cmd("purgeLocalInstall <id> <arch>...", "Delete the unpacked image of these architectures.", func(ctx context.Context, args []string) error {
		q := url.Values{}
		if explode {
			q.Set("reexplodeIsos", "true")
		}
		return about(g.conn().call(ctx, http.MethodDelete, at("bootenvs", args[0], "purgeLocal"), q, args[1:], nil), "purge %s", args[0])
	})
	purge.Flags().BoolVar(&explode, "reexplodeIsos", false, "unpack the images again")
	return []*cobra.Command{install, purge,
		g.cmd("uploadiso <id>", "Fetch the images that a bootenv wants from where it says, to the server.", func(ctx context.Context, args []string) error {
			o, err := g.fetch(ctx, g.kind, args[0], nil)
			if err != nil {
				return err
			}
			return g.fetchISOs(ctx, o, "")
		})}
}

// wantedISOs are the images that a bootenv names, with the URL of each.
func wantedISOs(env doc) map[string]string {
	out := map[string]string{}
	add := func(from any) {
		if name := text(field(from, "IsoFile")); name != "" {
			out[name] = text(field(from, "IsoUrl"))
		}
	}
	add(env.at("OS"))
	arches, _ := env.at("OS.SupportedArchitectures").(map[string]any)
	for _, a := range arches {
		add(a)
	}
	return out
}

// fetchISOs uploads the images that the server lacks, from the folder if they
// are there.
func (s *session) fetchISOs(ctx context.Context, env doc, folder string) error {
	wanted := wantedISOs(env)
	if len(wanted) == 0 {
		s.note("bootenv %s wants no image", nameOf(env))
		return nil
	}
	var have []string
	if err := s.conn().get(ctx, "/isos", url.Values{"path": {""}}, &have); err != nil {
		return about(err, "list isos")
	}
	failed := 0
	for _, name := range sortedKeys(wanted) {
		if slices.Contains(have, name) {
			s.note("%s is on the server", name)
			continue
		}
		from := filepath.Join(folder, name)
		if _, err := os.Stat(from); folder == "" || err != nil {
			from = wanted[name]
		}
		if from == "" {
			s.note("%s: nothing says where it comes from; drpcli isos upload <file> as %s", name, name)
			failed++
			continue
		}
		if err := s.uploadTo(ctx, at("isos")+slashed(name), from, nil); err != nil {
			s.note("error: %v", err)
			failed++
		}
	}
	if failed > 0 {
		return failf(exitSomeFailed, "%d of %d images are not on the server", failed, len(wanted))
	}
	return nil
}

func (g *group) installEnv(ctx context.Context, args []string, skip bool) error {
	body, err := g.bodyObject(args[0])
	if err != nil {
		return err
	}
	if err := g.installTemplates(ctx, body, filepath.Join(filepath.Dir(filepath.Dir(args[0])), "templates")); err != nil {
		return err
	}
	var o doc
	err = g.conn().call(ctx, http.MethodPost, "/bootenvs", g.forced(), body, &o)
	if f := asFailure(err); err != nil && f.status == http.StatusConflict {
		err = g.conn().call(ctx, http.MethodPut, at("bootenvs", nameOf(body)), g.forced(), body, &o)
	}
	if err != nil {
		return about(err, "install bootenv %s", nameOf(body))
	}
	folder := "isos"
	if len(args) == 2 {
		folder = args[1]
	}
	if !skip {
		if err := g.fetchISOs(ctx, o, folder); err != nil {
			return err
		}
	}
	return g.print("bootenvs", o)
}

// installTemplates uploads the templates that a bootenv refers to, as far as
// they are in the folder.
func (g *group) installTemplates(ctx context.Context, env object, folder string) error {
	list, _ := env["Templates"].([]any)
	for _, t := range list {
		id := text(field(t, "ID"))
		if id == "" {
			continue
		}
		data, err := readFile(filepath.Join(folder, filepath.Clean("/"+id)))
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			_, err = g.putTemplate(ctx, id, string(data))
		}
		if err != nil {
			return about(err, "upload template %s", id)
		}
	}
	return nil
}

func (s *session) putTemplate(ctx context.Context, id, contents string) (doc, error) {
	var o doc
	body := object{"ID": id, "Contents": contents}
	err := s.conn().call(ctx, http.MethodPost, at("templates"), s.forced(), body, &o)
	if f := asFailure(err); err != nil && f.status == http.StatusConflict {
		return s.change(ctx, api.Templates, id, setField("Contents", contents))
	}
	return o, err
}

func (g *group) templateUploadCmd() *cobra.Command {
	return g.cmd("upload <file> as <id>", "Store a file (or -) as a template, in place of the one with that id.", func(ctx context.Context, args []string) error {
		read := readFile
		if args[0] == "-" {
			read = g.bodyText
		}
		data, err := read(args[0])
		if err != nil {
			return failf(exitUsage, "%v", err)
		}
		o, err := g.putTemplate(ctx, args[2], string(data))
		if err != nil {
			return about(err, "upload template %s", args[2])
		}
		return g.print("templates", o)
	})
}

// paramCustomEnvs holds bootenvs that are changed for some machines.
const paramCustomEnvs = "bootenv-customize"

// uploadParamISOs fetches the images of the bootenvs that the object's params
// name.
func (g *group) uploadParamISOs(ctx context.Context, args []string) error {
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return err
	}
	var custom map[string]any
	q := url.Values{"aggregate": {"true"}, "compose": {"true"}}
	if err := g.conn().get(ctx, at(g.name, key, "params")+slashed(paramCustomEnvs), q, &custom); err != nil {
		return about(err, "param %s of %s", paramCustomEnvs, args[0])
	}
	for _, n := range sortedKeys(custom) {
		if err := g.fetchISOs(ctx, doc{val: custom[n]}, ""); err != nil {
			return about(err, "images of %s", n)
		}
	}
	return nil
}

// providerVerbs put the programs of plugins on the server and fetch them.
func (g *group) providerVerbs() []*cobra.Command {
	replaceWritable := false
	upload := g.cmd("upload <name> [from <file>]", "Upload the program of a plugin provider.", func(ctx context.Context, args []string) error {
		name, from := filepath.Base(args[0]), args[0]
		if len(args) == 3 {
			name, from = args[0], args[2]
		}
		return g.uploadTo(ctx, at("plugin_providers", name), from, packQuery(replaceWritable))
	})
	upload.Flags().BoolVar(&replaceWritable, "replace-writable", false, "take over objects of the same names")
	download := g.cmd("download <id> [to <file>]", "Download the program of a plugin provider.", func(ctx context.Context, args []string) error {
		return g.download(ctx, at("plugin_providers", args[0], "binary"), args)
	})
	return []*cobra.Command{upload, download}
}
