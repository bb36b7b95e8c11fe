//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// stallLimit is how long a download may deliver nothing.
	stallLimit = time.Minute
	// resumeLimit is how long a download that broke off is asked for again: a
	// server that restarts is back long before.
	resumeLimit = 3 * time.Minute
)

// Download opens a stream without limit of time but with one for silence. When
// it breaks off it is continued where it was; whoever reads it checks the sum
// of the whole. The token goes to our own server only.
func (s ownServer) Download(ctx context.Context, from string) (io.ReadCloser, error) {
	u, err := url.Parse(from)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("image %q is not an http or https URL", from)
	}
	d := &download{ctx: ctx, a: s.a, from: from, shown: u.Redacted()}
	if err := d.open(); err != nil {
		return nil, fmt.Errorf("download %s: %w", d.shown, err)
	}
	return d, nil
}

// download is a body that fails when it stalls, ends early or cannot be continued.
type download struct {
	ctx         context.Context // of the operation that reads it
	a           *agent
	from, shown string
	got         int64

	body   io.ReadCloser // nil while it is broken off
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// open begins the download, or continues it after what has come already.
func (d *download) open() error {
	ctx, cancel := context.WithCancelCause(d.ctx)
	res, err := d.a.client().Fetch(ctx, d.from, d.got)
	if err != nil {
		cancel(nil)
		return err
	}
	want := http.StatusOK
	if d.got > 0 {
		want = http.StatusPartialContent
	}
	if res.StatusCode != want {
		res.Body.Close()
		cancel(nil)
		return permanent{fmt.Errorf("the server says %s, not %d", res.Status, want)}
	}
	d.body, d.cancel = res.Body, cancel
	d.timer = time.AfterFunc(stallLimit, func() { cancel(fmt.Errorf("nothing came for %s", stallLimit)) })
	return nil
}

// permanent is an error that no later try will mend.
type permanent struct{ error }

// Read starts the clock only while it waits: a slow disk is no stalled server.
func (d *download) Read(b []byte) (int, error) {
	if d.body == nil {
		if err := d.resume(); err != nil {
			return 0, err
		}
	}
	d.timer.Reset(stallLimit)
	n, err := d.body.Read(b)
	d.timer.Stop()
	d.got += int64(n)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	d.a.log.Warn("download broke off, continuing it", "url", d.shown, "bytes", d.got, "err", err)
	d.drop()
	return n, nil
}

// resume asks again until the server answers, refuses or resumeLimit has passed.
func (d *download) resume() error {
	wait := pace()
	for end := time.Now().Add(resumeLimit); ; {
		err := d.open()
		if err == nil {
			return nil
		}
		var never permanent
		over := errors.As(err, &never) || !temporary(err) || time.Now().After(end)
		if over || !wait.Sleep(d.ctx) {
			return fmt.Errorf("download %s broke off after %d bytes and could not be continued: %w", d.shown, d.got, err)
		}
	}
}

func (d *download) drop() {
	d.timer.Stop()
	d.cancel(nil)
	d.body.Close()
	d.body = nil
}

func (d *download) Close() error {
	if d.body != nil {
		d.drop()
	}
	return nil
}
