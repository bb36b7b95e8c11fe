package rest

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// LogLine is one line of the server's log as DRP shows it.
type LogLine struct {
	Group         int64
	Seq           int64
	Time          time.Time
	Service       string
	Principal     string
	Level         string // trace, debug, info, warn, error
	File          string
	Line          int
	Message       string
	Data          []any
	IgnorePublish bool
}

// logLines answers with the newest lines of the server's log.
func (s *server) logLines(c echo.Context) error {
	if err := allow(c, "logs", "list", ""); err != nil {
		return err
	}
	lines := []LogLine{}
	if s.cfg.Logs != nil {
		lines = append(lines, s.cfg.Logs()...)
	}
	return c.JSON(http.StatusOK, lines)
}

func (s *server) info(c echo.Context) error {
	if s.cfg.Info == nil {
		return notWired("info")
	}
	if err := allow(c, "info", "get", ""); err != nil {
		return err
	}
	v, err := s.cfg.Info(c.Request().Context(), base(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, v)
}

// consensusRoutes are what drpcli system ha asks: this server is alone.
func (s *server) consensusRoutes(g *echo.Group) {
	id := func(st HAState) any { return st.ConsensusID }
	for name, of := range map[string]func(HAState) any{
		"id": id, "leader": id, "active": id,
		"state":     func(st HAState) any { return st },
		"peers":     func(st HAState) any { return []NodeInfo{{NodeHA: st.NodeHA}} },
		"fullstate": func(st HAState) any { return map[string]HAState{st.ConsensusID: st} },
	} {
		g.GET("/system/consensus/"+name, func(c echo.Context) error {
			st, err := s.haState(c)
			if err != nil {
				return err
			}
			return c.JSON(http.StatusOK, of(st))
		})
	}
	alone := func(c echo.Context) error {
		if _, err := s.haState(c); err != nil {
			return err
		}
		return failf(http.StatusConflict, "", "this server is standalone: it has no replicas and joins none")
	}
	g.POST("/system/consensus/failOverSafe", alone)
	g.GET("/system/consensus/introduction", alone)
	g.POST("/system/consensus/enroll", alone)
	g.DELETE("/system/consensus/node/:node", alone)
	g.POST("/system/passive", alone)
	g.POST("/system/active", s.stayActive)
}

// stayActive answers to a wish that a standalone server always fulfils.
func (s *server) stayActive(c echo.Context) error {
	if err := allow(c, "system", "active", ""); err != nil {
		return err
	}
	return s.info(c)
}

func (s *server) haState(c echo.Context) (HAState, error) {
	if s.cfg.Info == nil {
		return HAState{}, notWired("info")
	}
	if err := allow(c, "info", "get", ""); err != nil {
		return HAState{}, err
	}
	v, err := s.cfg.Info(c.Request().Context(), base(c))
	if err != nil || len(v.ClusterState.Nodes) == 0 {
		return HAState{}, err
	}
	return HAState{v.ClusterState.GlobalHA, v.ClusterState.Nodes[0].NodeHA}, nil
}
