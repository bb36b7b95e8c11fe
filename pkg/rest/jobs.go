package rest

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

const octets = "application/octet-stream"

// JobRequest asks for the next job of a machine.
type JobRequest struct {
	Machine string
	Context string
}

func (h *kindServer) nextJob(c echo.Context) error {
	var req JobRequest
	data, err := body(c, h.cfg.BodyLimit)
	if err != nil {
		return err
	}
	if err := fromJSON(data, &req); err != nil {
		return err
	}
	if err := allow(c, "jobs", "create", req.Machine); err != nil {
		return err
	}
	if h.cfg.NextJob == nil {
		return notWired("jobs")
	}
	job, status, reason, err := h.cfg.NextJob(c.Request().Context(), identity(c), req.Machine, req.Context)
	if err != nil {
		return err
	}
	if reason != "" {
		c.Response().Header().Set("X-DRP-Reason", strings.Map(printable, reason))
	}
	if job == nil {
		return noContent(c, status)
	}
	if o, err := h.kind.Lookup(h.cfg.DB.View(), job.Uuid); err == nil && job.Token == "" {
		return c.JSONBlob(status, o.JSON) // encoded already
	}
	return c.JSON(status, job)
}

// printable keeps a reason fit for a header.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return ' '
	}
	return r
}

func (h *kindServer) jobActions(c echo.Context) error {
	o, err := h.visible(c, h.cfg.DB.View())
	if err != nil {
		return err
	}
	if err := allow(c, "jobs", "actions", o.Key); err != nil {
		return err
	}
	if h.cfg.JobActions == nil {
		return notWired("job actions")
	}
	list, err := h.cfg.JobActions(c.Request().Context(), identity(c), o.Key, base(c), c.QueryParam("os"))
	if err != nil {
		return err
	}
	if list == nil {
		list = []api.JobAction{}
	}
	return c.JSON(http.StatusOK, list)
}

// JobLog is the name of the blob that holds the log of a job.
func JobLog(job string) string { return "joblogs/" + job }

func (h *kindServer) appendLog(c echo.Context) error {
	if !strings.Contains(c.Request().Header.Get(echo.HeaderContentType), octets) {
		return failf(http.StatusUnsupportedMediaType, "BadRequest", "send the log as %s", octets)
	}
	o, err := h.visible(c, h.cfg.DB.View())
	if err != nil {
		return err
	}
	if err := allow(c, "jobs", "log", o.Key); err != nil {
		return err
	}
	in := http.MaxBytesReader(c.Response(), c.Request().Body, h.cfg.BodyLimit)
	if _, err := h.cfg.Blobs.Append(c.Request().Context(), JobLog(o.Key), in, h.cfg.LogLimit); err != nil {
		return err
	}
	h.logs.ring(o.Key)
	if h.cfg.Logged != nil {
		if err := h.cfg.Logged(c.Request().Context(), o.Key); err != nil {
			return err
		}
	}
	return noContent(c, http.StatusNoContent)
}

// readLog answers with the log from byte ?from=. With follow=1 it waits until
// there is something after that byte, the job has ended, or FollowFor is over.
// A Range is of what the reply would hold without it.
func (h *kindServer) readLog(c echo.Context) error {
	o, err := h.visible(c, h.cfg.DB.View())
	if err != nil {
		return err
	}
	if err := allow(c, "jobs", "log", o.Key); err != nil {
		return err
	}
	var from int64
	if s := c.QueryParam("from"); s != "" {
		if from, err = strconv.ParseInt(s, 10, 64); err != nil || from < 0 {
			return resource.Errorf(resource.Malformed, "jobs", o.Key, "from=%q is not a byte position", s)
		}
	}
	size, err := h.logSize(o.Key)
	if err != nil {
		return err
	}
	if isTrue(c.QueryParam("follow")) && size <= from {
		if size, err = h.waitLog(c.Request().Context(), o.Key, from); err != nil {
			return err
		}
	}
	return h.sendLog(c, o.Key, min(from, size), size)
}

func (h *kindServer) logSize(job string) (int64, error) {
	info, err := h.cfg.Blobs.Stat(JobLog(job))
	if errors.Is(err, fs.ErrNotExist) {
		return int64(len(h.serverLog(job))), nil
	}
	return info.Size, err
}

// serverLog is the log of a job that the server did by itself in one step.
func (h *kindServer) serverLog(job string) string {
	j, err := api.Jobs.Get(h.cfg.DB.View(), job)
	if err != nil {
		return ""
	}
	text, _ := j.Note["log"].(string)
	return text
}

func (h *kindServer) ended(job string) bool {
	j, err := api.Jobs.Get(h.cfg.DB.View(), job)
	return err != nil || j.Ended()
}

func (h *kindServer) waitLog(ctx context.Context, job string, from int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.FollowFor)
	defer cancel()
	for {
		grown := h.logs.wait(job)
		size, err := h.logSize(job)
		if err != nil || size > from || h.ended(job) || ctx.Err() != nil {
			h.logs.forget(job, grown)
			return size, err
		}
		h.await(ctx, job, grown)
	}
}

// await returns when the log grows, the job changes or ctx ends.
func (h *kindServer) await(ctx context.Context, job string, grown <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	after := h.cfg.DB.Seq()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		select {
		case <-grown:
			cancel()
		case <-ctx.Done():
		}
	})
	if h.ended(job) {
		return
	}
	for evs, err := range h.cfg.DB.Watch(ctx, after, resource.OfKinds(api.Jobs.Name)) {
		if err != nil {
			return
		}
		for _, e := range evs {
			if e.Key == job {
				return
			}
		}
	}
}

// sendLog serves the bytes from one position to another, which Range counts
// from the first of. A log is only ever added to, so the two name its content.
func (h *kindServer) sendLog(c echo.Context, job string, from, size int64) error {
	head := c.Response().Header()
	head.Set("X-DRP-LOG-SIZE", strconv.FormatInt(size, 10))
	head.Set("X-DRP-LOG-END", strconv.FormatBool(h.ended(job)))
	head.Set(echo.HeaderContentType, octets)
	f, err := h.cfg.Blobs.Open(JobLog(job))
	if errors.Is(err, fs.ErrNotExist) {
		text := h.serverLog(job)
		text = text[min(int(from), len(text)):min(int(size), len(text))]
		head.Set("ETag", fmt.Sprintf(`"note-%d-%08x"`, from, crc32.ChecksumIEEE([]byte(text))))
		return serveBytes(c, int64(len(text)), time.Time{}, strings.NewReader(text))
	}
	if err != nil {
		return err
	}
	defer f.Close()
	head.Set("ETag", fmt.Sprintf(`"log-%d-%d"`, from, size))
	return serveBytes(c, size-from, time.Time{}, io.NewSectionReader(f, from, size-from))
}

// bell wakes those who wait for a job log to grow.
type bell struct {
	mu   sync.Mutex // guards below
	jobs map[string]chan struct{}
}

func newBell() *bell { return &bell{jobs: map[string]chan struct{}{}} }

func (b *bell) wait(job string) chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.jobs[job] == nil {
		b.jobs[job] = make(chan struct{})
	}
	return b.jobs[job]
}

func (b *bell) ring(job string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ch := b.jobs[job]; ch != nil {
		close(ch)
		delete(b.jobs, job)
	}
}

// forget wakes the others that wait for the same job, who then wait anew: so
// no channel outlives its waiters.
func (b *bell) forget(job string, ch chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.jobs[job] == ch {
		close(ch)
		delete(b.jobs, job)
	}
}
