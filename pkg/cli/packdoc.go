package cli

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"drpd/pkg/api"
)

// document prints what a pack says of itself and of each object.
func (g *group) document(_ context.Context, args []string) error {
	pack, err := g.pack(args[0])
	if err != nil {
		return err
	}
	var b strings.Builder
	heading(&b, pack.Meta.Name, "=")
	paragraph(&b, pack.Meta.Description)
	paragraph(&b, pack.Meta.Documentation)
	for _, section := range sortedKeys(pack.Sections) {
		heading(&b, section, "-")
		for _, key := range sortedKeys(pack.Sections[section]) {
			heading(&b, key, "~")
			paragraph(&b, text(field(pack.Sections[section][key], "Description")))
			paragraph(&b, text(field(pack.Sections[section][key], "Documentation")))
		}
	}
	return g.line("%s", strings.TrimRight(b.String(), "\n"))
}

func heading(b *strings.Builder, text, line string) {
	b.WriteString(text + "\n" + strings.Repeat(line, len([]rune(text))) + "\n\n")
}

func paragraph(b *strings.Builder, text string) {
	if t := strings.TrimSpace(text); t != "" {
		b.WriteString(t + "\n\n")
	}
}

// bundlizeCmd makes a pack of objects that were written by hand.
func (g *group) bundlizeCmd() *cobra.Command {
	var remove, reload bool
	var key string
	c := g.cmd("bundlize <file> [<words>]...", "Make a pack of objects, given as kind:key or kind:Field=value, beside meta fields as Field=value.",
		func(ctx context.Context, args []string) error {
			pack, err := g.bundlize(ctx, args[1:])
			if err != nil {
				return err
			}
			if err := g.sealFromServer(ctx, pack, key); err != nil {
				return err
			}
			if err := savePack(args[0], pack); err != nil || !remove {
				return err
			}
			if err := g.removeBundlized(ctx, pack); err != nil || !reload {
				return err
			}
			return g.uploadPack(ctx, args[0], key, true)
		})
	c.Flags().BoolVar(&remove, "delete", false, "delete the objects afterwards")
	c.Flags().BoolVar(&reload, "reload", false, "with --delete: upload the pack in their place")
	c.Flags().StringVar(&key, "key", "", "seal secure params to a new key, and save that in this file")
	c.Example = "  drpcli contents bundlize mine.yaml Name=mine Version=v1.0.0 tasks:tidy stages:clean\n  drpcli contents bundlize mine.yaml Name=mine 'profiles:Meta.owner=me' --delete --reload"
	return c
}

func (g *group) bundlize(ctx context.Context, words []string) (*api.ContentPack, error) {
	pack := &api.ContentPack{Sections: map[string]map[string]any{}}
	meta := object{}
	for _, w := range words {
		colon, equals := strings.IndexByte(w, ':'), strings.IndexByte(w, '=')
		if equals >= 0 && (colon < 0 || equals < colon) {
			meta[w[:equals]] = w[equals+1:]
			continue
		}
		if colon < 0 {
			return nil, failf(exitUsage, "%q is neither Field=value nor kind:key", w)
		}
		if err := g.collect(ctx, pack, w[:colon], w[colon+1:]); err != nil {
			return nil, err
		}
	}
	if len(pack.Sections) == 0 {
		return nil, failf(exitUsage, "name the objects, as kind:key")
	}
	if err := remarshal(meta, &pack.Meta); err != nil {
		return nil, failf(exitUsage, "%v", err)
	}
	if pack.Meta.Name == "" {
		return nil, failf(exitUsage, "the pack needs a name: Name=...")
	}
	return pack, nil
}

// collect adds one object, or those that a filter selects.
func (g *group) collect(ctx context.Context, pack *api.ContentPack, kind, ref string) error {
	k, err := kindNamed(kind)
	if err != nil {
		return err
	}
	var list []doc
	if strings.Contains(ref, "=") {
		q, err := filters([]string{ref})
		if err != nil {
			return err
		}
		if err := g.conn().get(ctx, at(k.KindName()), q, &list); err != nil {
			return about(err, "list %s", kind)
		}
	} else {
		o, err := g.fetch(ctx, k, ref, url.Values{})
		if err != nil {
			return err
		}
		list = []doc{o}
	}
	if pack.Sections[k.KindName()] == nil {
		pack.Sections[k.KindName()] = map[string]any{}
	}
	for _, o := range list {
		fields, ok := o.val.(object)
		if !ok {
			continue
		}
		for _, computed := range []string{"Validated", "Available", "Errors", "ReadOnly", "Bundle", "Endpoint", "Partial"} {
			delete(fields, computed)
		}
		pack.Sections[k.KindName()][keyOf(k, o)] = fields
	}
	return nil
}

// removeBundlized deletes what is in a pack, what refers to others first.
func (g *group) removeBundlized(ctx context.Context, pack *api.ContentPack) error {
	for _, kind := range []string{"workflows", "stages", "blueprints", "bootenvs", "tasks", "templates", "pools", "roles", "profiles", "params"} {
		for _, key := range sortedKeys(pack.Sections[kind]) {
			if err := g.conn().call(ctx, http.MethodDelete, at(kind, key), g.forced(), nil, nil); err != nil {
				return about(err, "delete %s/%s", kind, key)
			}
			g.note("deleted %s/%s", kind, key)
		}
	}
	return nil
}
