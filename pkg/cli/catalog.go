package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"drpd/pkg/api"
	"drpd/pkg/atomicfile"
	"drpd/pkg/bundle"
)

// catalog is a content pack that lists what can be had, and where.
type catalog struct {
	from  string
	pack  *api.ContentPack
	items []*api.CatalogItem
}

// offer is what people see of an item.
type offer struct {
	Type     string
	Versions []string
}

// wanted chooses one version of an item for one system.
type wanted struct {
	version, arch, os string
	replaceWritable   bool
}

func (s *session) catalogCmd() *cobra.Command {
	w := &wanted{}
	download := s.verb("download <item> [to <file>]", "Save an item as a file, its SHA-256 checked.", func(ctx context.Context, args []string) error {
		if len(args) == 3 {
			if err := wantWord(args[1], "to"); err != nil {
				return err
			}
		}
		return s.saveItem(ctx, w, args)
	})
	install := s.verb("install <item>", "Upload a content pack of the catalog to the server, those it needs first.", func(ctx context.Context, args []string) error {
		c, err := s.catalog(ctx)
		if err != nil {
			return err
		}
		return s.installItem(ctx, c, args[0], *w, nil)
	})
	install.Flags().BoolVar(&w.replaceWritable, "replace-writable", false, "take over objects of the same names")
	install.Flags().BoolVar(&w.replaceWritable, "replaceWritable", false, "the same")
	_ = install.Flags().MarkHidden("replaceWritable")
	item := s.parent("item", "Look at one item of the catalog, save or install it.", "  drpcli catalog item install tools -c catalog.json",
		s.verb("show <item>", "Show the versions of an item.", func(ctx context.Context, args []string) error {
			c, err := s.catalog(ctx)
			if err != nil {
				return err
			}
			o, ok := c.offers()[args[0]]
			if !ok {
				return failf(exitNotFound, "there is no %s in the catalog %s", args[0], c.from)
			}
			return s.print("", o)
		}), download, install)
	p := item.PersistentFlags()
	p.StringVar(&w.version, "version", "stable", "version of the item")
	p.StringVar(&w.arch, "arch", runtime.GOARCH, "architecture of the item")
	p.StringVar(&w.os, "os", runtime.GOOS, "operating system of the item")
	return s.parent("catalog", "See what a catalog of content packs offers, and install it.",
		"  drpcli catalog items -c https://packs.example.com/catalog.json\n  drpcli catalog item install tools --version v1.2.0 -c catalog.json",
		s.verb("show", "Show the whole catalog.", func(ctx context.Context, _ []string) error {
			c, err := s.catalog(ctx)
			if err != nil {
				return err
			}
			return s.print("", c.pack)
		}),
		s.verb("items", "List what the catalog offers, with versions.", func(ctx context.Context, _ []string) error {
			c, err := s.catalog(ctx)
			if err != nil {
				return err
			}
			return s.print("", c.offers())
		}), item)
}

// catalog reads the one that -c or RS_CATALOG names. There is none of our own.
func (s *session) catalog(ctx context.Context) (*catalog, error) {
	c := &catalog{from: s.flags.catalog}
	if c.from == "" {
		return nil, failf(exitUsage, "no catalog is named: give its file or URL by -c or in RS_CATALOG")
	}
	data, err := s.fetchAll(ctx, c.from)
	if err != nil {
		return nil, about(err, "read the catalog %s", c.from)
	}
	if err := json.Unmarshal(data, &c.pack); err != nil {
		return nil, failf(exitUsage, "read the catalog %s: %v", c.from, err)
	}
	section := c.pack.Sections["catalog_items"]
	for _, key := range sortedKeys(section) {
		i := &api.CatalogItem{}
		if err := remarshal(section[key], i); err != nil {
			return nil, failf(exitUsage, "read the catalog %s: item %s: %v", c.from, key, err)
		}
		c.items = append(c.items, i)
	}
	return c, nil
}

// fetchAll reads a file or what a URL gives, up to maxInput.
func (s *session) fetchAll(ctx context.Context, from string) ([]byte, error) {
	src, _, err := s.source(ctx, from)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	data, err := io.ReadAll(io.LimitReader(src, maxInput+1))
	if err == nil && len(data) > maxInput {
		err = fmt.Errorf("it has more than %d bytes", maxInput)
	}
	return data, err
}

func (c *catalog) offers() map[string]offer {
	out := map[string]offer{}
	for _, i := range c.items {
		out[i.Name] = offer{i.ContentType, append(out[i.Name].Versions, i.Version)}
	}
	for _, o := range out {
		slices.Sort(o.Versions)
	}
	return out
}

func (c *catalog) find(name, version string) (*api.CatalogItem, error) {
	for _, i := range c.items {
		if i.Name == name && i.Version == version {
			return i, nil
		}
	}
	text := fmt.Sprintf("there is no %s version %s in the catalog %s", name, version, c.from)
	if o, ok := c.offers()[name]; ok {
		text += "; it has " + strings.Join(o.Versions, ", ")
	}
	return nil, failf(exitNotFound, "%s", text)
}

// place is where the item's file is. Programs have one for each system; what
// the catalog names without a root is beside the catalog.
func (c *catalog) place(i *api.CatalogItem, w *wanted) string {
	at := i.Source
	if i.ContentType == "PluginProvider" || i.ContentType == "DRPCLI" {
		at += path.Join("/", w.arch, w.os, i.Name)
	}
	if u, err := url.Parse(at); err != nil || u.IsAbs() || filepath.IsAbs(at) {
		return at
	}
	if base, err := url.Parse(c.from); err == nil && base.IsAbs() {
		return base.ResolveReference(&url.URL{Path: at}).String()
	}
	return filepath.Join(filepath.Dir(c.from), at)
}

// fetchItem reads an item's file and compares its sum with the catalog's.
func (s *session) fetchItem(ctx context.Context, c *catalog, i *api.CatalogItem, w *wanted) ([]byte, error) {
	from := c.place(i, w)
	data, err := s.fetchAll(ctx, from)
	if err != nil {
		return nil, about(err, "get %s %s from %s", i.Name, i.Version, from)
	}
	want := i.Shasum256["any/any"]
	for _, key := range []string{w.arch + "/" + w.os, w.os + "/" + w.arch} {
		if sum := i.Shasum256[key]; sum != "" {
			want = sum
		}
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(data)); want != "" && got != want {
		return nil, failf(exitOther, "%s %s from %s has SHA-256 %s, the catalog says %s", i.Name, i.Version, from, got, want)
	}
	return data, nil
}

// saveItem takes <item> [to <file>].
func (s *session) saveItem(ctx context.Context, w *wanted, args []string) error {
	c, err := s.catalog(ctx)
	if err != nil {
		return err
	}
	i, err := c.find(args[0], w.version)
	if err != nil {
		return err
	}
	data, err := s.fetchItem(ctx, c, i, w)
	if err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	file := map[string]string{"ContentPackage": i.Name + ".json", "DRP": i.Name + ".zip", "DRPUX": i.Name + ".zip"}[i.ContentType]
	if file == "" {
		file, mode = filepath.Base(i.Name), 0o755
	}
	if len(args) == 3 {
		file = args[2]
	}
	return about(atomicfile.Write(file, data, mode), "save %s", file)
}

// installItem uploads a content pack after those that it needs and the server
// lacks; path are the packs that need it.
func (s *session) installItem(ctx context.Context, c *catalog, name string, w wanted, path []string) error {
	if slices.Contains(path, name) {
		return failf(exitUsage, "%s needs itself through %s", name, strings.Join(path, ", "))
	}
	i, err := c.find(name, w.version)
	if err != nil {
		return err
	}
	if i.ContentType != "ContentPackage" {
		return failf(exitUsage, "%s is a %s: only content packs are installed; drpcli catalog item download %s saves it", name, i.ContentType, name)
	}
	data, err := s.fetchItem(ctx, c, i, &w)
	if err != nil {
		return err
	}
	pack, err := bundle.FromBundle(bytes.TrimSpace(data))
	if err != nil {
		return wrong(err)
	}
	for need := range strings.SplitSeq(pack.Meta.Prerequisites, ",") {
		need, _, _ = strings.Cut(need, ":")
		need = strings.TrimSpace(need)
		if need == "" || need == "BasicStore" || s.conn().get(ctx, at("contents", need), nil, nil) == nil {
			continue
		}
		of := w
		if of.version != "tip" {
			of.version = "stable"
		}
		if err := s.installItem(ctx, c, need, of, append(path, name)); err != nil {
			return about(err, "install %s, which %s needs", need, name)
		}
	}
	return s.putPack(ctx, pack, w.replaceWritable)
}

// putPack replaces the pack of that name, or creates it.
func (s *session) putPack(ctx context.Context, pack *api.ContentPack, replaceWritable bool) error {
	var out doc
	q, name := packQuery(replaceWritable), pack.Meta.Name
	err := s.conn().call(ctx, http.MethodPut, at("contents", name), q, pack, &out)
	if isNotFound(err) {
		err = s.conn().call(ctx, http.MethodPost, "/contents", q, pack, &out)
	}
	if err != nil {
		return about(err, "upload content pack %s", name)
	}
	return s.print("contents", out)
}
