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
	"path"
	"strings"

	"github.com/spf13/cobra"

	"drpd/pkg/client"
)

func (s *session) isosCmd() *cobra.Command {
	c := s.parent("isos", "Keep installation images on the server.",
		"  drpcli isos upload ./debian-13.iso\n  drpcli isos list\n  drpcli isos destroy debian-13.iso", s.blobVerbs("isos")...)
	c.Aliases = []string{"iso"}
	return c
}

// blobVerbs are the verbs of files and isos.
func (s *session) blobVerbs(area string) []*cobra.Command {
	recurse := false
	list := s.verb("list [<folder>]", "List what is there.", func(ctx context.Context, a []string) error {
		return s.listBlobs(ctx, area, a, recurse)
	})
	list.Flags().BoolVar(&recurse, "recurse", false, "with a folder: what is below its folders too")
	download := s.verb("download <name> [to <file>]", "Download to a file, or to standard output.", func(ctx context.Context, a []string) error {
		return s.download(ctx, at(area)+slashed(a[0]), a)
	})
	download.Aliases = []string{"show", "get"}
	verbs := []*cobra.Command{list, s.blobUpload(area), download,
		s.verb("exists <name>", "Print its SHA-256; exit 3 if there is none.", func(ctx context.Context, a []string) error {
			r, err := s.conn().raw(ctx, client.Request{Method: http.MethodHead, Path: at(area) + slashed(a[0])})
			if err != nil {
				return about(err, "%s %s", area, a[0])
			}
			return s.line("%s: %s", a[0], r.Header.Get("X-DRP-SHA256SUM"))
		}),
		s.verb("destroy <name>...", "Delete; --dry-run says what would go.", func(ctx context.Context, a []string) error {
			for _, name := range a {
				if s.flags.dryRun {
					s.note("would destroy %s/%s", area, name)
					continue
				}
				if err := s.conn().call(ctx, http.MethodDelete, at(area)+slashed(name), nil, nil, nil); err != nil {
					return about(err, "destroy %s %s", area, name)
				}
				if err := s.line("Deleted %s", name); err != nil {
					return err
				}
			}
			return nil
		}),
		s.verb("static <name>", "Print a file as booting machines get it.", func(ctx context.Context, a []string) error {
			return s.static(ctx, a[0])
		}),
		s.certPair("/static/cert", "the file server")}
	for _, v := range verbs[2:5] {
		v.ValidArgsFunction = func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return trimmed(s.names(c.Context(), area), area+"/"), cobra.ShellCompDirectiveNoFileComp
		}
	}
	return verbs
}

func trimmed(names []string, prefix string) []string {
	var out []string
	for _, n := range names {
		if rest, ok := strings.CutPrefix(n, prefix); ok {
			out = append(out, rest)
		}
	}
	return out
}

func (s *session) listBlobs(ctx context.Context, area string, a []string, recurse bool) error {
	q := url.Values{}
	if len(a) == 1 {
		q.Set("path", a[0])
	} else {
		q.Set("Path", "Re(^"+area+"/)")
	}
	if recurse {
		q.Set("all", "true")
	}
	list := []doc{}
	if err := s.conn().get(ctx, at(area), q, &list); err != nil {
		return about(err, "list %s", area)
	}
	return s.print(area, list)
}

// static reads from the tree that the server also serves beside its API.
func (s *session) static(ctx context.Context, name string) error {
	c := s.conn()
	if c.err != nil {
		return c.err
	}
	resp, err := c.api.Fetch(ctx, c.endpoint+slashed(strings.TrimPrefix(name, "/")), 0)
	if err != nil {
		return c.worded(ctx, err)
	}
	defer resp.Body.Close()
	_, err = io.Copy(s.out, resp.Body)
	return err
}

func (s *session) blobUpload(area string) *cobra.Command {
	var sum string
	var explode bool
	c := s.verb("upload <file> [as <name>]", "Upload a file, what a URL gives, or - for standard input.", func(ctx context.Context, a []string) error {
		name := path.Base(a[0])
		if len(a) == 3 {
			if err := wantWord(a[1], "as"); err != nil {
				return err
			}
			name = a[2]
		} else if len(a) == 2 || a[0] == "-" {
			return failf(exitUsage, "name the upload: upload %s as <name>", a[0])
		}
		q := url.Values{}
		if sum != "" {
			q.Set("sha256", sum)
		}
		if explode {
			q.Set("explode", "true")
		}
		return s.uploadTo(ctx, at(area)+slashed(name), a[0], q)
	})
	c.Flags().StringVar(&sum, "sha256", "", "refuse the upload if its SHA-256 differs")
	c.Flags().BoolVar(&explode, "explode", false, "unpack the archive there afterwards")
	return c
}

// uploadTo sends a file, a URL's content or standard input, and prints the
// answer.
func (s *session) uploadTo(ctx context.Context, to, from string, q url.Values) error {
	src, size, err := s.source(ctx, from)
	if err != nil {
		return about(err, "upload %s", from)
	}
	defer src.Close()
	bar := s.progress("upload "+path.Base(to), size)
	resp, err := s.conn().stream(ctx, client.Request{Method: http.MethodPost, Path: to, Query: q, In: bar.reader(src), Size: size})
	bar.end()
	if err != nil {
		return about(err, "upload %s as %s", from, strings.TrimPrefix(to, "/"))
	}
	defer resp.Body.Close()
	var out doc
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&out); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the reply to upload %s: %w", from, err)
	}
	return s.print("", out)
}

// source opens what is to be sent; size is -1 if nobody knows it.
func (s *session) source(ctx context.Context, from string) (io.ReadCloser, int64, error) {
	if from == "-" {
		return io.NopCloser(s.in), -1, nil
	}
	if u, err := url.Parse(from); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		resp, err := client.Download(ctx, from, s.flags.downloadProxy)
		if err != nil {
			return nil, 0, err
		}
		return resp.Body, resp.ContentLength, nil
	}
	f, err := os.Open(from)
	if err != nil {
		return nil, 0, failf(exitUsage, "%v", err)
	}
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, 0, failf(exitUsage, "%s is no regular file", from)
	}
	return f, st.Size(), nil
}

// download checks the sum that the server knows and leaves no half file.
// args are <name> [to <file>].
func (s *session) download(ctx context.Context, from string, args []string) error {
	resp, err := s.conn().stream(ctx, client.Request{Path: from})
	if err != nil {
		return about(err, "download %s", args[0])
	}
	defer resp.Body.Close()
	h := sha256.New()
	want := resp.Header.Get("X-DRP-SHA256SUM")
	if len(args) == 1 || args[2] == "-" {
		_, err := io.Copy(io.MultiWriter(s.out, h), resp.Body)
		return errors.Join(err, checkSum(h, want, args[0]))
	}
	if err := wantWord(args[1], "to"); err != nil {
		return err
	}
	part := args[2] + ".part"
	f, err := os.Create(part)
	if err != nil {
		return fmt.Errorf("download %s: %w", args[0], err)
	}
	bar := s.progress("download "+args[0], resp.ContentLength)
	_, err = io.Copy(io.MultiWriter(f, h), bar.reader(resp.Body))
	bar.end()
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

// saveStream puts what a route sends into a file.
func (s *session) saveStream(ctx context.Context, path string, q url.Values, file string) error {
	resp, err := s.conn().stream(ctx, client.Request{Path: path, Query: q})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("save %s: %w", file, err)
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}
