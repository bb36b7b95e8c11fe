package pxe

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Handler serves the static tree to machines that boot: GET and HEAD, with
// ranges. Give it the server's own ResponseWriter: wrappers lose sendfile.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD are served here", http.StatusMethodNotAllowed)
		return
	}
	q := Request{Path: r.URL.Path, Client: addrOf(r.RemoteAddr), Server: localAddr(r)}
	a, err := s.answer(r.Context(), q, r.Method == http.MethodHead)
	if err != nil {
		s.refuse(w, q, err)
		return
	}
	w.Header().Set("Content-Type", contentType(a.Path))
	if a.File == nil {
		w.Header().Set("Cache-Control", "no-store")
		http.ServeContent(w, r, a.Path, time.Time{}, strings.NewReader(a.Body))
	} else {
		defer a.File.Close()
		var mod time.Time
		if st, err := a.File.Stat(); err == nil {
			mod = st.ModTime()
		}
		http.ServeContent(w, r, a.Path, mod, a.File)
	}
	if r.Method == http.MethodGet {
		s.record(a, "http")
	}
}

func (s *Server) refuse(w http.ResponseWriter, q Request, err error) {
	s.cfg.Log.Info("boot file refused", "proto", "http", "client", q.Client, "path", q.Path, "err", err)
	switch {
	case errors.Is(err, ErrNotFound):
		http.Error(w, err.Error(), http.StatusNotFound)
	case errors.Is(err, ErrBadName):
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		http.Error(w, "cannot be served now; the server's log says why", http.StatusServiceUnavailable)
	}
}

// localAddr is the address of ours that the client reached.
func localAddr(r *http.Request) netip.Addr {
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return addrOf(a.String())
	}
	return netip.Addr{}
}
