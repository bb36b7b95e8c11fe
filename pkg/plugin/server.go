//go:build linux

package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"drpd/pkg/resource"
)

// maxTold bounds what a plugin sends at once, in bytes.
const maxTold = 1 << 20

// listen serves what the plugin wants of the server. The kit calls it by the
// first prefix; its documentation says the second.
func (p *instance) listen(s *Supervisor, path string) error {
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("listen for plugin %s: %w", p.plugin, err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // the path is one of now, and goes with the cell
	if err := os.Chmod(path, 0o666); err != nil { // only the plugin and we get there
		return errors.Join(err, l.Close())
	}
	mux := http.NewServeMux()
	for _, at := range []string{"/api-server-plugin/v4", "/api-plugin-server/v4"} {
		mux.HandleFunc("POST "+at+"/publish", answer(s.published(p)))
		mux.HandleFunc("POST "+at+"/leaving", answer(p.leaving))
		mux.HandleFunc("POST "+at+"/log", answer(s.logged(p)))
		mux.HandleFunc("GET "+at+"/objects/{prefix}", answer(s.objects))
	}
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelWarn)}
	p.serving.Go(func() { _ = p.server.Serve(l) }) // until close
	return nil
}

// answer makes a handler of what takes a body and returns an answer.
func answer(fn func(r *http.Request, body []byte) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTold))
		var reply any
		if err == nil {
			reply, err = fn(r, body)
		}
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			e := &Error{Type: r.Method, Key: r.URL.Path, Code: http.StatusBadRequest, Messages: []string{err.Error()}}
			w.WriteHeader(e.Code)
			reply = e
		}
		_ = json.NewEncoder(w).Encode(reply) // the plugin is gone if it fails
	}
}

// published passes an event on. What looks like a change of an object would
// mislead whoever follows them.
func (s *Supervisor) published(p *instance) func(*http.Request, []byte) (any, error) {
	return func(_ *http.Request, body []byte) (any, error) {
		var e resource.Event
		if err := json.Unmarshal(body, &e); err != nil {
			return nil, fmt.Errorf("the event is no JSON: %w", err)
		}
		changes := []string{"create", "update", "save", "delete"}
		if e.Type == "" || e.Action == "" || e.Type == "audit" || s.cfg.DB.Kind(e.Type) != nil && slices.Contains(changes, e.Action) {
			return nil, fmt.Errorf("event %s.%s: an event has a Type, not audit, and an Action, of a kind of object none of %v", e.Type, e.Action, changes)
		}
		e.Principal = "plugins/" + p.plugin
		s.cfg.DB.Publish(e)
		return struct{}{}, nil
	}
}

// leaving notes that the plugin wants to end.
func (p *instance) leaving(_ *http.Request, body []byte) (any, error) {
	why := "it does not say why"
	e := &Error{}
	if json.Unmarshal(body, e) == nil && len(e.Messages) > 0 {
		why = e.Error()
	}
	select {
	case p.leaves <- why:
	default: // it has said so
	}
	return struct{}{}, nil
}

// levels of the kit's logger, by their numbers.
var levels = []slog.Level{slog.LevelDebug, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError, slog.LevelError, slog.LevelError, slog.LevelInfo}

// logged puts a line of the plugin into our log.
func (s *Supervisor) logged(p *instance) func(*http.Request, []byte) (any, error) {
	return func(r *http.Request, body []byte) (any, error) {
		var line struct {
			Level   any
			Message string
		}
		if err := json.Unmarshal(body, &line); err != nil {
			return nil, fmt.Errorf("the line is no JSON: %w", err)
		}
		level := slog.LevelInfo
		switch l := line.Level.(type) {
		case float64:
			if n := int(l); n >= 0 && n < len(levels) {
				level = levels[n]
			}
		case string:
			i := slices.Index([]string{"trace", "debug", "info", "warn", "error", "fatal", "panic", "audit"}, l)
			if i >= 0 {
				level = levels[i]
			}
		}
		// The kit logs all params, secrets included, whenever it gets them.
		if strings.HasPrefix(line.Message, "Received Config request:") {
			line.Message = "received its params"
		}
		s.cfg.Log.Log(r.Context(), level, strings.TrimSpace(line.Message), "plugin", p.plugin)
		return struct{}{}, nil
	}
}

// objects lists all objects of a kind.
func (s *Supervisor) objects(r *http.Request, _ []byte) (any, error) {
	prefix := r.PathValue("prefix")
	list := []json.RawMessage{}
	for _, k := range s.cfg.DB.Kinds() {
		if k.KindName() != prefix {
			continue
		}
		for o := range k.Each(s.cfg.DB.View()) {
			list = append(list, o.JSON)
		}
		return list, nil
	}
	return nil, fmt.Errorf("there is no kind of objects %q", prefix)
}
