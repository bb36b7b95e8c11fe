package rest

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"drpd/pkg/resource"
)

// maxWait bounds how long a read waits for a change, as DRP does.
const maxWait = 10 * time.Minute

// waitFor is how long a GET or HEAD with If-None-Match shall wait for the
// object to change ("Prefer: wait=30", "wait=2m"); 0: not at all.
func waitFor(r *http.Request) time.Duration {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.Header["If-None-Match"] == nil {
		return 0
	}
	for part := range strings.SplitSeq(r.Header.Get("Prefer"), ",") {
		text, ok := strings.CutPrefix(strings.TrimSpace(part), "wait=")
		if !ok {
			continue
		}
		if n, err := strconv.Atoi(text); err == nil {
			text = strconv.Itoa(min(max(n, 0), int(maxWait.Seconds()))) + "s"
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0
		}
		return min(max(d, 0), maxWait)
	}
	return 0
}

// current is the object of a read. If the caller waits for a change, it
// returns once the object is not the one that the caller knows, or the wait is
// over.
func (h *kindServer) current(c echo.Context) (resource.Object, error) {
	wait := waitFor(c.Request())
	if wait == 0 {
		return h.visible(c, h.cfg.DB.View())
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), wait)
	defer cancel()
	for {
		seen := h.cfg.DB.Seq()
		o, err := h.visible(c, h.cfg.DB.View())
		known := err == nil && sameTag(c, o)
		absent := resource.CodeOf(err) == resource.NotFound && c.Request().Header.Get("If-None-Match") == ""
		if !known && !absent || ctx.Err() != nil {
			return o, err
		}
		h.changed(ctx, seen)
	}
}

// changed returns when an object of the kind changes after an event, or ctx ends.
func (h *kindServer) changed(ctx context.Context, after uint64) {
	for evs, err := range h.cfg.DB.Watch(ctx, after, resource.OfKinds(h.kind.KindName())) {
		if err != nil {
			return
		}
		if len(evs) > 0 {
			return
		}
	}
}
