package daemon

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// ringLines is how many lines of its own log the server keeps for GET /logs.
const ringLines = 1000

// logRing keeps the newest lines of the log. Preferences say how much detail:
// logLevel for all, debugDhcp and the like for one service.
type logRing struct {
	prefs  atomic.Pointer[resource.DB] // nil until the objects are loaded
	levels atomic.Pointer[levels]      // nil: none asked for yet
	wanted atomic.Pointer[func(resource.Event) bool]

	mu    sync.Mutex // guards below
	lines []rest.LogLine
	seq   int64
}

func newLogRing(size int) *logRing { return &logRing{lines: make([]rest.LogLine, 0, size)} }

// follow takes the levels from the preferences in db from now on, and makes
// events of lines that are wanted.
func (l *logRing) follow(db *resource.DB, wanted func(resource.Event) bool) {
	l.prefs.Store(db)
	l.wanted.Store(&wanted)
}

// handler keeps what next is given, and more if preferences say so.
func (l *logRing) handler(next slog.Handler) slog.Handler { return &ringHandler{ring: l, next: next} }

// Lines returns the kept lines, oldest first.
func (l *logRing) Lines() []rest.LogLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := int(l.seq % int64(cap(l.lines)))
	if len(l.lines) < cap(l.lines) {
		return slices.Clone(l.lines)
	}
	return slices.Concat(l.lines[n:], l.lines[:n])
}

func (l *logRing) add(line rest.LogLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := int(l.seq % int64(cap(l.lines)))
	l.seq++
	line.Seq = l.seq
	if len(l.lines) < cap(l.lines) {
		l.lines = append(l.lines, line)
		return
	}
	l.lines[at] = line
}

// publish sends the line to whoever watches events, as log.<level>.<service>.
// Details stay in the ring: an event about each event would have no end.
func (l *logRing) publish(level slog.Level, line rest.LogLine) {
	db := l.prefs.Load()
	e := resource.Event{Type: "log", Action: line.Level, Key: line.Service, Principal: line.Principal}
	if wanted := l.wanted.Load(); db == nil || level < slog.LevelInfo || wanted == nil || !(*wanted)(e) {
		return
	}
	data, err := json.Marshal(line)
	if err != nil {
		return // it has been logged; only a watcher misses it
	}
	e.Object = data
	db.Publish(e)
}

// servicePrefs are the preferences for the log of one service, by the value of
// the attribute "service".
var servicePrefs = map[string]string{"dhcp": "debugDhcp", "bootenv": "debugBootEnv", "render": "debugRenderer",
	"frontend": "debugFrontend", "plugin": "debugPlugins"}

// levels are those of the services, as they were found in one state of the
// preferences: each line of the log asks more than once.
type levels struct {
	of    resource.Stamp
	found sync.Map // service to slog.Level
}

// level is the least that is kept of a service.
func (l *logRing) level(service string) slog.Level {
	db := l.prefs.Load()
	if db == nil {
		return slog.LevelInfo
	}
	v := db.View()
	now, known := api.Preferences.Stamp(v), l.levels.Load()
	if known == nil || known.of != now {
		known = &levels{of: now}
		l.levels.Store(known)
	}
	lv, ok := known.found.Load(service)
	if !ok {
		lv = levelIn(v, service)
		known.found.Store(service, lv)
	}
	return lv.(slog.Level)
}

func levelIn(v *resource.View, service string) slog.Level {
	for _, name := range []string{servicePrefs[service], "logLevel"} {
		p, err := api.Preferences.Get(v, name)
		if err != nil {
			continue
		}
		if lv, ok := levelOf(p.Value); ok {
			return lv
		}
	}
	return slog.LevelInfo
}

// levelOf reads DRP's levels, by name or by the numbers of its older releases.
func levelOf(text string) (slog.Level, bool) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "trace", "debug", "2", "3":
		return slog.LevelDebug, true
	case "info", "1":
		return slog.LevelInfo, true
	case "warn", "0":
		return slog.LevelWarn, true
	case "error", "fatal", "panic", "audit":
		return slog.LevelError, true
	}
	return 0, false
}

// ringHandler is the slog.Handler of a logRing.
type ringHandler struct {
	ring    *logRing
	next    slog.Handler
	service string
	prefix  string // of open groups
	attrs   []any  // name, value, ... as far as they are known
}

func (h *ringHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.kept(ctx, level) || h.next.Enabled(ctx, level)
}

// kept says whether a line is kept: for its level, or since the request that
// it belongs to is traced.
func (h *ringHandler) kept(ctx context.Context, level slog.Level) bool {
	if t, ok := rest.TraceOf(ctx); ok && level >= t.Level {
		return true
	}
	return level >= h.ring.level(h.service)
}

func (h *ringHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.kept(ctx, r.Level) {
		line := h.line(r)
		h.ring.add(line)
		h.ring.publish(r.Level, line)
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

func (h *ringHandler) line(r slog.Record) rest.LogLine {
	line := rest.LogLine{Time: r.Time.UTC(), Service: h.service, Level: strings.ToLower(r.Level.String()), Message: r.Message,
		Principal: "drpd", Data: slices.Clone(h.attrs)}
	if line.Service == "" {
		line.Service = "drpd"
	}
	f, _ := runtime.CallersFrames([]uintptr{r.PC}).Next()
	line.File, line.Line = filepath.Join(filepath.Base(filepath.Dir(f.File)), filepath.Base(f.File)), f.Line
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "actor" {
			line.Principal = a.Value.String()
		}
		line.Data = append(line.Data, h.prefix+a.Key, a.Value.String())
		return true
	})
	return line
}

// WithAttrs is of slog.Handler.
func (h *ringHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.next, c.attrs = h.next.WithAttrs(attrs), slices.Clip(h.attrs)
	for _, a := range attrs {
		if a.Key == "service" && h.prefix == "" {
			c.service = a.Value.String()
			continue
		}
		c.attrs = append(c.attrs, h.prefix+a.Key, a.Value.String())
	}
	return &c
}

// WithGroup is of slog.Handler.
func (h *ringHandler) WithGroup(name string) slog.Handler {
	c := *h
	c.next, c.prefix = h.next.WithGroup(name), h.prefix+name+"."
	return &c
}
