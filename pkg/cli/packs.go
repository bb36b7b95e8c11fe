package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"drpd/pkg/api"
	"drpd/pkg/bundle"
)

// packVerbs are the extras of contents.
func (g *group) packVerbs() []*cobra.Command {
	replaceWritable, key := false, ""
	upload := g.cmd("upload <file>", "Upload a content pack (file, folder or -), in place of the one with its name.", func(ctx context.Context, args []string) error {
		return g.uploadPack(ctx, args[0], key, replaceWritable)
	})
	upload.Example = "  drpcli contents upload pack.yaml\n  drpcli contents upload ./my-pack\n  drpcli contents upload - < pack.yaml"
	create := g.cmd("create <file>", "Upload a content pack; refused if there is one with its name.", func(ctx context.Context, args []string) error {
		return g.sendPack(ctx, http.MethodPost, args[0], "", key, replaceWritable)
	})
	update := g.cmd("update <id> <file>", "Replace a content pack; refused if there is none with its name.", func(ctx context.Context, args []string) error {
		return g.sendPack(ctx, http.MethodPut, args[1], args[0], key, replaceWritable)
	})
	show := g.cmd("show <id>", "Show a whole content pack.", func(ctx context.Context, args []string) error {
		if key != "" {
			return g.showPack(ctx, args[0], key)
		}
		return g.show(ctx, args[0], &view{})
	})
	show.Flags().StringVar(&key, "key", "", "seal secure params to a new key, and save that in this file")
	bundle := g.cmd("bundle <file> [<Field=value>]...", "Make one file of the pack in this folder.", func(_ context.Context, args []string) error {
		return g.bundle(args, key)
	})
	bundle.Flags().StringVar(&key, "key", "", "seal params that the pack makes secure to a new key, and save that in this file")
	bundle.Example = "  drpcli contents bundle ../pack.yaml\n  drpcli contents bundle ../pack.json Version=v2.0.0 --key ../pack.key"
	for _, c := range []*cobra.Command{upload, create, update} {
		c.Flags().BoolVar(&replaceWritable, "replace-writable", false, "take over objects of the same names")
		c.Flags().BoolVar(&replaceWritable, "replaceWritable", false, "the same")
		c.Flags().StringVar(&key, "key", "", "file with the key of the pack's secure params")
		_ = c.Flags().MarkHidden("replaceWritable")
	}
	return []*cobra.Command{upload, create, update, show,
		bundle,
		g.cmd("unbundle <file>", "Expand a pack into this folder, one file for each object.", g.unbundle),
		g.cmd("document <file>", "Print a pack's documentation as reStructuredText.", g.document),
		g.cmd("convert <file>", "Create a pack's objects as writable ones.", g.convert), g.bundlizeCmd()}
}

// pack reads a pack from a file, a folder or standard input, checked.
func (g *group) pack(from string) (*api.ContentPack, error) {
	if st, err := os.Stat(from); err == nil && st.IsDir() {
		p, err := bundle.FromDir(os.DirFS(from))
		return p, wrong(err)
	}
	data, err := g.bodyText(from)
	if err != nil {
		return nil, err
	}
	p, err := bundle.FromBundle(data)
	return p, wrong(err)
}

// packWith opens what --key sealed in the file.
func (g *group) packWith(from, key string) (*api.ContentPack, error) {
	pack, err := g.pack(from)
	if err != nil {
		return nil, err
	}
	return pack, openPack(pack, key)
}

// showPack shows a pack whose secrets open with a key of its own.
func (g *group) showPack(ctx context.Context, name, key string) error {
	pack := &api.ContentPack{}
	if err := g.conn().get(ctx, at("contents", name), nil, pack); err != nil {
		return about(err, "show content pack %s", name)
	}
	if err := g.sealFromServer(ctx, pack, key); err != nil {
		return err
	}
	return g.print("contents", pack)
}

// wrong makes bad input of what pkg/bundle objects to.
func wrong(err error) error {
	if err == nil {
		return nil
	}
	return failf(exitUsage, "%v", err)
}

func (g *group) uploadPack(ctx context.Context, from, key string, replaceWritable bool) error {
	pack, err := g.packWith(from, key)
	if err != nil {
		return about(err, "upload content pack")
	}
	name := pack.Meta.Name
	if name == "" {
		return failf(exitUsage, "%s is no content pack: meta.Name is missing", from)
	}
	if g.flags.dryRun {
		g.note("would upload content pack %s %s", name, pack.Meta.Version)
		return nil
	}
	return g.putPack(ctx, pack, replaceWritable)
}

func packQuery(replaceWritable bool) url.Values {
	if replaceWritable {
		return url.Values{"replaceWritable": {"true"}}
	}
	return nil
}

func (g *group) sendPack(ctx context.Context, method, from, want, key string, replaceWritable bool) error {
	pack, err := g.packWith(from, key)
	if err != nil {
		return err
	}
	path := at("contents")
	if method == http.MethodPut {
		if path = at("contents", want); want != pack.Meta.Name {
			return failf(exitUsage, "the pack in %s is %s, not %s", from, pack.Meta.Name, want)
		}
	}
	var out doc
	if err := g.conn().call(ctx, method, path, packQuery(replaceWritable), pack, &out); err != nil {
		return about(err, "upload content pack %s", pack.Meta.Name)
	}
	return g.print("contents", out)
}

func (g *group) bundle(args []string, key string) error {
	pack, err := bundle.FromDir(os.DirFS("."))
	if err != nil {
		return wrong(err)
	}
	meta := object{}
	for _, w := range args[1:] {
		k, v, ok := strings.Cut(w, "=")
		if !ok {
			return failf(exitUsage, "%q is not Field=value", w)
		}
		meta[k] = v
	}
	if err := remarshal(meta, &pack.Meta); err != nil {
		return failf(exitUsage, "%v", err)
	}
	if key != "" {
		if err := sealPack(pack, key, map[string]bool{}, nil); err != nil {
			return err
		}
	}
	return savePack(args[0], pack)
}

func remarshal(from, into any) error {
	data, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// savePack writes YAML or JSON, by the name of the file.
func savePack(file string, pack *api.ContentPack) error {
	var data []byte
	var err error
	switch filepath.Ext(file) {
	case ".yaml", ".yml":
		data, err = yaml.Marshal(pack)
	case ".json":
		data, err = encode(pack, "  ")
	default:
		return failf(exitUsage, "%s: the name must end in .yaml, .yml or .json", file)
	}
	if err != nil {
		return fmt.Errorf("encode content pack %s: %w", pack.Meta.Name, err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil { //nolint:gosec // a pack is no secret
		return fmt.Errorf("save content pack: %w", err)
	}
	return nil
}

func (g *group) unbundle(_ context.Context, args []string) error {
	pack, err := g.pack(args[0])
	if err != nil {
		return err
	}
	return bundle.ToDir(".", pack, "yaml")
}

// convert creates what a pack holds, what others refer to first.
func (g *group) convert(ctx context.Context, args []string) error {
	pack, err := g.pack(args[0])
	if err != nil {
		return err
	}
	order := []string{"params", "templates", "profiles", "tasks", "bootenvs", "stages", "workflows"}
	names := sortedKeys(pack.Sections)
	slices.SortStableFunc(names, func(a, b string) int { return rankIn(order, a) - rankIn(order, b) })
	for _, section := range names {
		for _, key := range sortedKeys(pack.Sections[section]) {
			if g.flags.dryRun {
				g.note("would create %s/%s", section, key)
				continue
			}
			body := pack.Sections[section][key]
			if k, err := kindNamed(section); err == nil {
				body = withKey(k.IndexNames(), key, body)
			}
			if err := g.conn().call(ctx, http.MethodPost, at(section), g.forced(), body, nil); err != nil {
				return about(err, "create %s/%s", section, key)
			}
			g.note("created %s/%s", section, key)
		}
	}
	return nil
}

// withKey adds the key, which a pack may leave out.
func withKey(indexes []string, key string, body any) any {
	m, ok := body.(map[string]any)
	if !ok || len(indexes) == 0 {
		return body
	}
	if _, have := m[indexes[0]]; !have {
		m[indexes[0]] = key
	}
	return m
}

func rankIn(order []string, name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}
