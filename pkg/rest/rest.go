// Package rest serves the HTTP API v3 with the routes and names of Digital
// Rebar Provision.
//
// Six handlers over resource.Any serve every kind of object the same way; the
// special routes are small, and where they decide something, the decision is a
// function of Config that another package provides. Handlers return errors and
// one place answers them.
package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/blob"
	"drpd/pkg/resource"
)

// Config makes the handler. DB, Auth and Blobs are required. A special route
// whose function is nil answers 501.
type Config struct {
	DB     *resource.DB
	Auth   *auth.Auth
	Blobs  *blob.Dir        // uploads under files/ and isos/, job logs under joblogs/
	Static http.Handler     // serves paths outside /api; nil: 404
	Now    func() time.Time // default time.Now
	Log    *slog.Logger     // default: discard

	BodyLimit   int64                                       // bytes of a JSON body; default 2 MiB
	PackLimit   int64                                       // bytes of a content pack; default 32 MiB
	UploadLimit int64                                       // bytes of an upload; default 64 GiB
	Logged      func(ctx context.Context, job string) error // its log has grown; may be nil
	LogLimit    int64                                       // bytes of one job log in all; default 256 MiB
	Timeout     time.Duration                               // of a request that is no upload, log or stream; default 60 s
	FollowFor   time.Duration                               // how long a log request with follow=1 waits; default 30 s
	Beat        time.Duration                               // between signs of life on idle streams; default 15 s
	Stall       time.Duration                               // how long a reader of events may take for one write; default 10 s
	PrefNames   []string                                    // allowed preferences; default those of DRP

	// Cut is told how somebody followed events, websocket or stream, who was cut
	// off for not reading them. It must not block. Nil: nobody is told.
	Cut func(how string)
	// Followers are told which events are followed. Nil: nobody asks them.
	Followers *Followers
	// Param finds a parameter of an object through its profiles, stage, the
	// global profile and the default. Nil: only the object's own.
	Param func(r resource.Reader, val any, name string) (any, bool)
	// Params are all parameters of an object: its own or, with aggregate, all
	// that apply; with decode, secure ones opened. Nil: only the own, sealed.
	Params func(r resource.Reader, o resource.Object, aggregate, decode bool) (map[string]any, error)
	// PublicKey is the key to which secure params of an object are sealed.
	PublicKey func(tx *resource.Tx, kind, key string) ([]byte, error)
	// Logs returns the newest lines of the server's log, oldest first. Nil: none.
	Logs func() []LogLine
	// NextJob is POST /jobs. status is 201 or 202 with a job, 204 with the
	// reason why there is none; errors carry the other cases.
	NextJob func(ctx context.Context, by auth.Identity, machine, jobContext string) (job *api.Job, status int, reason string, err error)
	// JobActions renders the templates of a job; base is https://host:port as
	// the agent called it, os the system that it runs on ("": any).
	JobActions func(ctx context.Context, by auth.Identity, job, base, os string) ([]api.JobAction, error)
	// PackWarnings tells what of a content pack this server ignores. Nil: nothing.
	PackWarnings func(r resource.Reader, p *api.ContentPack) []string
	// WhoAmI finds or makes the machine with a fingerprint, and says whether the
	// caller has shown to be it.
	WhoAmI func(ctx context.Context, by auth.Identity, req WhoAmIRequest) (WhoAmIReply, error)
	// Actions are behind <kind>/<id>/actions and /system/actions. Nil: none.
	Actions Actions
	// Providers keeps the programs of plugins. Nil: plugins are switched off.
	Providers Providers
	// Verbs are POST /<kind>/<id>/<verb>, by "<kind>/<verb>".
	Verbs map[string]Verb
	// Reads are GET /<kind>/<id>/<name>, by "<kind>/<name>".
	Reads map[string]Verb
	// Routes are further routes, for what is no operation on one object.
	Routes []Route
	// Pages are GET and HEAD of whole paths, as /api/v3/docs. They ask for no
	// credentials, so they tell nothing but what is the same on every server.
	Pages map[string]http.Handler
	// Closed refuses a request, whoever makes it and whatever it asks. Nil: none.
	Closed func(id auth.Identity, method, path string) error
	// Why explains what an object does and waits for.
	Why func(ctx context.Context, obj resource.Object) (WhyReply, error)
	// Info is GET /info; base is https://host:port as the caller reached us.
	Info func(ctx context.Context, base string) (Info, error)
}

// Verb carries out a named operation on one object. body is at most BodyLimit
// bytes of JSON, or empty. A status of 0 means 200.
type Verb func(ctx context.Context, obj resource.Object, body []byte, query url.Values) (status int, reply any, err error)

// The defaults of Config.
const (
	DefaultBodyLimit   = 2 << 20
	DefaultPackLimit   = 32 << 20
	DefaultUploadLimit = 64 << 30
	DefaultLogLimit    = 256 << 20
)

func (c *Config) fill() error {
	if c.DB == nil || c.Auth == nil || c.Blobs == nil {
		return errors.New("rest needs DB, Auth and Blobs")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for p, d := range map[*int64]int64{&c.BodyLimit: DefaultBodyLimit, &c.PackLimit: DefaultPackLimit,
		&c.UploadLimit: DefaultUploadLimit, &c.LogLimit: DefaultLogLimit} {
		if *p == 0 {
			*p = d
		}
	}
	for p, d := range map[*time.Duration]time.Duration{&c.Timeout: time.Minute, &c.FollowFor: 30 * time.Second, &c.Beat: 15 * time.Second, &c.Stall: 10 * time.Second} {
		if *p == 0 {
			*p = d
		}
	}
	if c.Followers == nil {
		c.Followers = &Followers{}
	}
	if c.Cut == nil {
		c.Cut = func(string) {}
	}
	if c.PrefNames == nil {
		c.PrefNames = []string{"defaultBootEnv", "unknownBootEnv", "defaultStage", "defaultWorkflow", "knownTokenTimeout",
			"unknownTokenTimeout", "baseTokenSecret", "systemGrantorSecret", "logLevel", "debugBootEnv", "debugDhcp",
			"debugRenderer", "debugFrontend", "debugPlugins", "jobsToKeep", "failedJobsPurgedAfter", "completeJobsPurgedAfter", "apiEndpoints",
			api.PrefReleaseProof, api.PrefForeignDisks}
	}
	return nil
}

// server holds what handlers share.
type server struct {
	cfg     Config
	kinds   map[string]resource.Any
	layouts map[string]*layout
	logs    *bell    // rung when a job log grows
	uploads *nameSet // names being uploaded or removed
	inHand  *nameSet // requests with an Idempotency-Key
	lanes   lanes    // of those who follow events
	epoch   string   // of event numbers: another one after each start
}

// docsPath is the page that / leads to.
const docsPath = "/api/v3/docs"

// New returns the handler of everything below /api/v3, and of Static.
func New(cfg Config) (http.Handler, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	s := &server{cfg: cfg, kinds: map[string]resource.Any{}, layouts: map[string]*layout{}, logs: newBell(), uploads: newNameSet(), inHand: newNameSet(), lanes: lanes{all: map[string]*lane{}}, epoch: uuid.NewString()[:8]}
	for _, k := range cfg.DB.Kinds() {
		s.kinds[k.KindName()], s.layouts[k.KindName()] = k, layoutOf(k)
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = s.answerError
	e.Pre(crossOrigin)
	g := e.Group("/api/v3", compress(), s.request, s.authenticate, s.traced)
	s.routes(g)
	for _, r := range cfg.Routes {
		if r.Open {
			e.Add(r.Method, "/api/v3"+r.Path, s.route(r), s.request, s.limitTime)
		}
	}
	for path, h := range cfg.Pages {
		e.Match([]string{http.MethodGet, http.MethodHead}, path, echo.WrapHandler(h), s.request, s.limitTime)
	}
	if cfg.Pages[docsPath] != nil {
		e.Match([]string{http.MethodGet, http.MethodHead}, "/", func(c echo.Context) error { return c.Redirect(http.StatusFound, docsPath) })
	}
	if cfg.Static != nil {
		e.Any("/*", echo.WrapHandler(cfg.Static))
	}
	return e, nil
}

func (s *server) routes(g *echo.Group) {
	s.eventRoutes(g)
	q := g.Group("", s.limitTime, s.idempotent)
	s.specialRoutes(q)
	s.blobRoutes(g, q)
	s.providerRoutes(g)
	for _, r := range s.cfg.Routes {
		switch {
		case r.Open:
		case r.Long:
			g.Add(r.Method, r.Path, s.route(r))
		default:
			q.Add(r.Method, r.Path, s.route(r))
		}
	}
	for _, k := range s.cfg.DB.Kinds() {
		s.kindRoutes(q, k)
	}
	g.RouteNotFound("/*", s.noRoute)
}
