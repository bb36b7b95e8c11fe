package media

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/blob"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
	"drpd/pkg/unpack"
)

// Worker carries out what media want. DB and Blobs are required.
type Worker struct {
	DB     *resource.DB
	Blobs  *blob.Dir
	Log    *slog.Logger  // default: discard
	Limits unpack.Limits // default: those of package unpack

	turn chan struct{} // one at a time: directories lie in each other
}

// Action unpacks and removes media.
func (w *Worker) Action() engine.Runner {
	if w.Log == nil {
		w.Log = slog.New(slog.DiscardHandler)
	}
	w.turn = make(chan struct{}, 1)
	return engine.Action[api.Medium]{
		Name: "media", Kind: api.Media, Timeout: 6 * time.Hour, Parallel: 1,
		Due: func(m *api.Medium, _ time.Time) (bool, time.Time) { return m.Due(), time.Time{} },
		Claim: func(m *api.Medium, _ time.Time) {
			if m.State == api.MediumWanted {
				m.State = api.MediumUnpacking
			}
		},
		Do: w.do,
	}
}

// done is what became of a medium.
type done struct {
	state, problem string
	files          int
	size           int64
}

func (w *Worker) do(ctx context.Context, m *api.Medium) func(*api.Medium) error {
	var is done
	select {
	case w.turn <- struct{}{}:
		is = w.one(ctx, m)
		<-w.turn
	case <-ctx.Done():
		is = done{state: api.MediumFailed, problem: "it took too long"}
	}
	if is.problem != "" {
		w.Log.Warn("medium not unpacked", "dir", m.Dir, "iso", m.Iso, "err", is.problem)
	} else {
		w.Log.Info("medium "+is.state, "dir", m.Dir, "iso", m.Iso, "files", is.files, "bytes", is.size)
	}
	was := *m
	return func(m *api.Medium) error {
		// Somebody may want something else by now: then that is done next.
		if m.State == was.State && m.Iso == was.Iso && m.SHA256 == was.SHA256 {
			m.State, m.Problem, m.Files, m.Size = is.state, is.problem, is.files, is.size
		}
		return nil
	}
}

func (w *Worker) one(ctx context.Context, m *api.Medium) done {
	dir := Root + m.Dir
	if err := w.Blobs.RemoveTree(dir, w.within(m.Dir)...); err != nil {
		return done{state: api.MediumFailed, problem: err.Error()}
	}
	if m.State == api.MediumPurging {
		return done{state: api.MediumPurged}
	}
	is, err := w.unpack(ctx, "isos/"+m.Iso, dir)
	if err == nil {
		err = w.Blobs.Sync()
	}
	if err != nil { // nothing of it stays behind
		return done{state: api.MediumFailed, problem: errors.Join(err, w.Blobs.RemoveTree(dir, w.within(m.Dir)...)).Error()}
	}
	is.state = api.MediumUnpacked
	return is
}

// within are the directories of other media below one.
func (w *Worker) within(dir string) []string {
	var out []string
	for m := range api.Media.All(w.DB.View()) {
		if strings.HasPrefix(m.Dir, dir+"/") {
			out = append(out, Root+m.Dir)
		}
	}
	return out
}

// unpack writes all files of an image, then its links: nothing is written
// through a link.
func (w *Worker) unpack(ctx context.Context, image, dir string) (is done, err error) {
	f, err := w.Blobs.Open(image)
	if err != nil {
		return is, err
	}
	defer f.Close()
	var links []unpack.Item
	err = unpack.Each(ctx, f, w.Limits, func(i unpack.Item) error {
		if i.Body == nil {
			links = append(links, i)
			return nil
		}
		limit := w.Limits.Bytes
		if limit == 0 {
			limit = unpack.DefaultBytes
		}
		info, err := w.Blobs.Put(ctx, path.Join(dir, i.Path), i.Body, blob.PutOptions{MaxSize: limit, Bulk: true})
		is.files, is.size = is.files+1, is.size+info.Size
		return err
	})
	if err != nil {
		return is, fmt.Errorf("unpack %s: %w", image, err)
	}
	for _, l := range links {
		// A link that leads out, as to a device of the running medium, is of no
		// use to who boots from the tree: it is left out.
		if err := w.Blobs.Link(path.Join(dir, l.Path), l.Link, dir); err != nil {
			w.Log.Debug("link of a medium left out", "link", l.Path, "to", l.Link, "err", err)
		}
	}
	return is, nil
}
