package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"drpd/pkg/auth"
	"drpd/pkg/resource"
)

const (
	maxRegistrations = 64
	// writeTimeout is how long a control frame of a websocket may take.
	writeTimeout = 10 * time.Second
)

func (s *server) eventRoutes(g *echo.Group) {
	g.GET("/ws", s.websocket)
	g.GET("/events/stream", s.stream)
}

// acted tells that an action was carried out: the event has its name.
func (s *server) acted(c echo.Context, call ActionCall) {
	e := resource.Event{Type: "system", Action: call.Command, Principal: identity(c).Name}
	if o := call.Object; o != nil {
		e.Type, e.Key, e.Object = o.Kind, o.Key, o.JSON
	}
	s.cfg.DB.Publish(e)
}

// subscriber is one open stream of events.
type subscriber struct {
	s     *server
	id    auth.Identity
	who   string // what the caller's rights rest on, and how events are framed
	frame framing

	mu       sync.Mutex // guards below
	patterns []pattern
	in       *lane // nil: none yet
	at       string
	moved    bool // patterns changed since
}

// subscriber is one that shares its lane with equal ones: the same credentials
// give the same rights.
func (s *server) subscriber(c echo.Context, how string, frame framing) *subscriber {
	u := &subscriber{s: s, id: identity(c), frame: frame}
	u.who = how + strconv.Quote(c.Request().Header.Get(echo.HeaderAuthorization)+" "+c.QueryParam("token"))
	return u
}

func (u *subscriber) register(text string) error {
	p, err := parsePattern(text)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if slices.ContainsFunc(u.patterns, func(q pattern) bool { return q.text == text }) {
		return nil
	}
	if len(u.patterns) >= maxRegistrations {
		return resource.Errorf(resource.Refused, "", "", "at most %d registrations on one connection", maxRegistrations)
	}
	u.patterns, u.moved = append(u.patterns, p), true
	u.s.cfg.Followers.add(p)
	return nil
}

func (u *subscriber) deregister(text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.moved = true
	u.patterns = slices.DeleteFunc(u.patterns, func(p pattern) bool {
		if p.text == text {
			u.s.cfg.Followers.remove(p)
		}
		return p.text == text
	})
}

// gone gives up all patterns; nothing is registered after it.
func (u *subscriber) gone() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, p := range u.patterns {
		u.s.cfg.Followers.remove(p)
	}
	u.patterns = nil
}

// lane is the one for what the subscriber asks for now.
func (u *subscriber) lane() *lane {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.in != nil && !u.moved {
		return u.in
	}
	u.leave()
	u.at, u.moved = u.who+" "+textOf(u.patterns), false
	wants := slices.Clone(u.patterns)
	u.in = u.s.lanes.join(u.at, func() *lane { return &lane{frame: u.frame, wants: wants, id: u.id} })
	return u.in
}

// leave needs the lock.
func (u *subscriber) leave() {
	if u.in != nil {
		u.s.lanes.leave(u.at)
		u.in = nil
	}
}

// follow writes every wanted event after Seq after, many in one write, until
// ctx ends, the caller's rights end, or events were lost.
func (u *subscriber) follow(ctx context.Context, after uint64, write func([]byte) error) error {
	defer func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.leave()
	}()
	for ctx.Err() == nil {
		st, err := u.lane().next(&u.s.cfg, after)
		if err != nil {
			return err
		}
		if st.to == 0 {
			if !st.rest(ctx) {
				break
			}
			continue
		}
		after = st.to
		if len(st.data) == 0 {
			continue
		}
		if err := write(st.data); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// until ends with the caller's token.
func (s *server) until(ctx context.Context, id auth.Identity) (context.Context, context.CancelFunc) {
	if id.Expires.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, id.Expires.Sub(s.cfg.Now()), auth.ErrDenied)
}

func (s *server) websocket(c echo.Context) error {
	conn, wire, err := acceptWS(c.Response(), c.Request())
	if err != nil {
		s.cfg.Log.Debug("websocket not opened", "err", err)
		return nil // Accept has answered
	}
	defer conn.CloseNow()
	conn.SetReadLimit(4 * maxPatternLen)
	u := s.subscriber(c, "websocket", webFrame)
	defer u.gone()
	after := s.cfg.DB.Seq()
	link := linkOf(wire)
	deliver := link.patience(wire, s.cfg.Stall).deliver
	g, ctx := errgroup.WithContext(c.Request().Context())
	// The client is told why before the others end: a read cut off by its context
	// closes the connection at once.
	tell := func(err error) error {
		if s.cutOff(c, "websocket", err) {
			closeSlow(conn, err)
		}
		return err
	}
	g.Go(func() error { return tell(u.listen(ctx, conn, deliver)) })
	g.Go(func() error {
		ctx, cancel := s.until(ctx, identity(c)) // only following ends with the token
		defer cancel()
		err := tell(u.follow(ctx, after, deliver))
		closeWS(conn, err) // also ends listen
		return err
	})
	g.Go(func() error { return tell(s.ping(ctx, link, deliver)) })
	if err := g.Wait(); err != nil {
		s.cfg.Log.Debug("websocket closed", "actor", identity(c).Name, "err", err)
	}
	return nil
}

// closeWS tells the client why its stream ends.
func closeWS(conn *websocket.Conn, err error) {
	switch {
	case errors.Is(err, resource.ErrLagged):
		_ = conn.Close(websocket.StatusTryAgainLater, resource.ErrLagged.Error())
	case errors.Is(err, auth.ErrDenied), errors.Is(err, context.DeadlineExceeded):
		_ = conn.Close(websocket.StatusPolicyViolation, "the token ended: log in again")
	default:
		_ = conn.Close(websocket.StatusGoingAway, "closing")
	}
}

// listen carries out "register <pattern>" and "deregister <pattern>" and
// answers each with an event of type websocket.
func (u *subscriber) listen(ctx context.Context, conn *websocket.Conn, deliver func([]byte) error) error {
	for {
		_, msg, err := conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("read websocket: %w", err)
		}
		verb, text, _ := strings.Cut(strings.TrimSpace(string(msg)), " ")
		reply := resource.Event{Time: u.s.cfg.Now(), Type: "websocket", Action: verb, Key: text, Object: json.RawMessage("null")}
		switch verb {
		case "register":
			err = u.register(text)
		case "deregister":
			u.deregister(text)
		default:
			err = resource.Errorf(resource.Malformed, "", "", "say register <pattern> or deregister <pattern>")
		}
		if err != nil {
			reply.Action = "error"
			reply.Object, _ = json.Marshal(replyOf(err, verb))
		}
		frame, err := webFrame(nil, &reply)
		if err != nil {
			return err
		}
		if err := deliver(frame); err != nil {
			return err
		}
	}
}

// stream sends events as text/event-stream; the id of each is its sequence
// number, from which ?after= or Last-Event-ID continues.
func (s *server) stream(c echo.Context) error {
	u := s.subscriber(c, "stream", s.streamFrame)
	defer u.gone()
	for _, text := range c.QueryParams()["register"] {
		if err := u.register(text); err != nil {
			return err
		}
	}
	if len(u.patterns) == 0 {
		return resource.Errorf(resource.Malformed, "", "", "say what to follow, as ?register=machines.*.*")
	}
	after, err := s.resume(c.QueryParam("after"), c.Request().Header.Get("Last-Event-ID"))
	if err != nil && !errors.Is(err, resource.ErrLagged) {
		return err
	}
	ctx, cancel := s.until(c.Request().Context(), identity(c))
	defer cancel()
	head := c.Response().Header()
	head.Set(echo.HeaderContentType, "text/event-stream")
	if c.Request().ProtoMajor == 1 {
		// Ended by the end of the connection and not in chunks: net/http then
		// needs one system call for a write instead of three.
		head.Set("Transfer-Encoding", "identity")
	}
	head.Set("Cache-Control", "no-store")
	if err != nil {
		_, err = fmt.Fprintf(c.Response(), "event: lagged\ndata: %q\n\n", err)
		return err
	}
	err = u.stream(ctx, streamPatience(c, s.cfg.Stall).deliver, after)
	s.cutOff(c, "stream", err)
	return nil
}

// resume reads where a client left off: <epoch>.<number>, or only a number.
// Numbers start anew with the server, so those of another epoch are lost.
func (s *server) resume(given ...string) (uint64, error) {
	after := s.cfg.DB.Seq()
	for _, g := range given {
		if g == "" {
			continue
		}
		if epoch, number, ok := strings.Cut(g, "."); ok {
			if epoch != s.epoch {
				return 0, resource.ErrLagged
			}
			g = number
		}
		n, err := strconv.ParseUint(g, 10, 64)
		if err != nil {
			return 0, resource.Errorf(resource.Malformed, "", "", "after=%q is not the number of an event", g)
		}
		after = n
	}
	return after, nil
}

// stream returns why it ended, after it has told the client.
func (u *subscriber) stream(ctx context.Context, send func([]byte) error, after uint64) error {
	write := func(format string, args ...any) error { return send(fmt.Appendf(nil, format, args...)) }
	if err := write(": following after %s.%d\n\n", u.s.epoch, after); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return u.follow(gctx, after, send) })
	g.Go(func() error { return beat(gctx, u.s.cfg.Beat, func() error { return write(": alive\n\n") }) })
	err := g.Wait()
	switch {
	case errors.Is(err, resource.ErrLagged), errors.Is(err, errSlow):
		_ = write("event: lagged\ndata: %q\n\n", err.Error())
	case errors.Is(err, auth.ErrDenied), errors.Is(ctx.Err(), context.DeadlineExceeded):
		_ = write("event: denied\ndata: \"the token ended: log in again\"\n\n")
	}
	return err
}

func beat(ctx context.Context, every time.Duration, send func() error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil // why following ended says more
		case <-tick.C:
			if err := send(); err != nil {
				return err
			}
		}
	}
}
