package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"drpd/pkg/client"
)

func (s *session) isosCmd() *cobra.Command {
	c := &cobra.Command{Use: "isos", Aliases: []string{"iso"}, Short: "Keep installation images on the server.", Args: cobra.ArbitraryArgs, RunE: s.noVerb,
		Example: "  drpcli isos upload ./debian-13.iso\n  drpcli isos list\n  drpcli isos destroy debian-13.iso"}
	c.AddCommand(s.blobVerbs("isos")...)
	return c
}

// blobVerbs are the verbs of files and isos.
func (s *session) blobVerbs(area string) []*cobra.Command {
	cmd := func(use, short string, args cobra.PositionalArgs, run func(ctx context.Context, a []string) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(c *cobra.Command, a []string) error { return run(c.Context(), a) }}
	}
	var sum string
	upload := cmd("upload <file> [as <name>]", "Upload a file; - is standard input.", cobra.RangeArgs(1, 3), func(ctx context.Context, a []string) error {
		return s.upload(ctx, area, a, sum)
	})
	upload.Flags().StringVar(&sum, "sha256", "", "refuse the upload if its SHA-256 differs")
	return []*cobra.Command{
		cmd("list [<folder>]", "List what is there.", cobra.MaximumNArgs(1), func(ctx context.Context, a []string) error {
			q := url.Values{}
			if len(a) == 1 {
				q.Set("path", a[0])
			} else if area == "files" {
				q.Set("Path", "Re(^files/)")
			}
			list := []any{}
			if err := s.conn().get(ctx, at(area), q, &list); err != nil {
				return about(err, "list %s", area)
			}
			return s.print(area, list)
		}),
		upload,
		cmd("download <name> [to <file>]", "Download to a file, or to standard output.", cobra.RangeArgs(1, 3), func(ctx context.Context, a []string) error {
			return s.download(ctx, area, a)
		}),
		cmd("exists <name>", "Exit 0 if it exists, 3 if not.", cobra.ExactArgs(1), func(ctx context.Context, a []string) error {
			_, err := s.conn().raw(ctx, client.Request{Method: http.MethodHead, Path: at(area) + slashed(a[0])})
			return about(err, "%s %s", area, a[0])
		}),
		cmd("destroy <name>", "Delete.", cobra.ExactArgs(1), func(ctx context.Context, a []string) error {
			return about(s.conn().call(ctx, http.MethodDelete, at(area)+slashed(a[0]), nil, nil, nil), "destroy %s %s", area, a[0])
		}),
	}
}

func (s *session) upload(ctx context.Context, area string, args []string, sum string) error {
	name, src := filepath.Base(args[0]), io.Reader(s.in)
	size := int64(-1)
	if len(args) == 3 {
		if err := wantWord(args[1], "as"); err != nil {
			return err
		}
		name = args[2]
	} else if len(args) == 2 || args[0] == "-" {
		return failf(exitUsage, "name the upload: upload %s as <name>", args[0])
	}
	if args[0] != "-" {
		f, err := os.Open(args[0])
		if err != nil {
			return failf(exitUsage, "upload: %v", err)
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil || !st.Mode().IsRegular() {
			return failf(exitUsage, "upload: %s is no regular file", args[0])
		}
		src, size = f, st.Size()
	}
	out := object{}
	if err := s.send(ctx, at(area)+slashed(name), src, size, sum, &out); err != nil {
		return about(err, "upload %s as %s/%s", args[0], area, name)
	}
	return s.print("", out)
}

func (s *session) send(ctx context.Context, path string, src io.Reader, size int64, sum string, out any) error {
	q := client.Request{Method: http.MethodPost, Path: path, Query: url.Values{}, In: src, Size: size}
	if sum != "" {
		q.Query.Set("sha256", sum)
	}
	resp, err := s.conn().stream(ctx, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(out)
}

// download checks the sum that the server knows and leaves no half file.
func (s *session) download(ctx context.Context, area string, args []string) error {
	resp, err := s.conn().stream(ctx, client.Request{Path: at(area) + slashed(args[0])})
	if err != nil {
		return about(err, "download %s/%s", area, args[0])
	}
	defer resp.Body.Close()
	h := sha256.New()
	want := resp.Header.Get("X-DRP-SHA256SUM")
	if len(args) == 1 {
		_, err := io.Copy(io.MultiWriter(s.out, h), resp.Body)
		return errors.Join(err, checkSum(h, want, args[0]))
	}
	if len(args) != 3 || args[1] != "to" {
		return failf(exitUsage, "say: download %s to <file>", args[0])
	}
	part := args[2] + ".part"
	f, err := os.Create(part)
	if err != nil {
		return fmt.Errorf("download %s: %w", args[0], err)
	}
	_, err = io.Copy(io.MultiWriter(f, h), resp.Body)
	err = errors.Join(err, f.Close(), checkSum(h, want, args[0]))
	if err != nil {
		return errors.Join(fmt.Errorf("download %s to %s: %w", args[0], args[2], err), os.Remove(part))
	}
	return os.Rename(part, args[2])
}

func checkSum(h hash.Hash, want, name string) error {
	if got := hex.EncodeToString(h.Sum(nil)); want != "" && got != want {
		return failf(exitOther, "%s arrived with SHA-256 %s, the server has %s", name, got, want)
	}
	return nil
}

// packUploadCmd puts a content pack in place of the one of the same name.
func (g *group) packUploadCmd() *cobra.Command {
	return g.cmd("upload <file>|-", "Upload a content pack, in place of the one with its name.", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		pack, err := g.bodyObject(args[0])
		if err != nil {
			return err
		}
		name := text(field(pack, "meta.Name"))
		if name == "" {
			return failf(exitUsage, "%s is no content pack: meta.Name is missing", args[0])
		}
		out := object{}
		err = g.conn().call(ctx, http.MethodPut, at("contents", name), nil, pack, &out)
		if isNotFound(err) {
			err = g.conn().call(ctx, http.MethodPost, "/contents", nil, pack, &out)
		}
		if err != nil {
			return about(err, "upload content pack %s", name)
		}
		return g.print("contents", out)
	})
}
