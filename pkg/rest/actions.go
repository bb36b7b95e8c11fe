package rest

import (
	"context"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// ActionCall asks for an action. Object is nil for an action of the system.
type ActionCall struct {
	Object  *resource.Object
	Command string
	Plugin  string         // "": whoever offers the command
	Params  map[string]any // for this call only; never nil
	Base    string         // https://host:port as the caller reached us
}

// Actions are what plugins, or what is built in instead of them, can do to
// objects and to the system (object nil).
type Actions interface {
	// Available lists the actions whose required params the object has, of one
	// plugin or provider if it is named.
	Available(ctx context.Context, object *resource.Object, plugin string) ([]api.AvailableAction, error)
	// Run carries one out. The reply is the caller's.
	Run(ctx context.Context, call ActionCall) (any, error)
}

// target finds what a request wants an action of, and checks that the caller
// may do it; the object is nil for the system.
type target func(c echo.Context, action string) (*resource.Object, error)

func (h *kindServer) actionTarget() target {
	return func(c echo.Context, action string) (*resource.Object, error) {
		o, err := h.visible(c, h.cfg.DB.View())
		if err != nil {
			return nil, err
		}
		if err := allow(c, o.Kind, action, o.Key); err != nil {
			return nil, err
		}
		return &o, nil
	}
}

func (s *server) systemActions() target {
	return func(c echo.Context, action string) (*resource.Object, error) {
		return nil, allow(c, "system", action, "")
	}
}

// actionRoutes are the three routes for the actions of a target.
func (s *server) actionRoutes(g *echo.Group, path string, find target) {
	g.GET(path, func(c echo.Context) error { return s.listActions(c, find) })
	g.GET(path+"/:cmd", func(c echo.Context) error { return s.showAction(c, find) })
	g.POST(path+"/:cmd", func(c echo.Context) error { return s.runAction(c, find) })
}

// available lists the actions of the target, of one plugin with ?plugin=.
func (s *server) available(c echo.Context, find target) ([]api.AvailableAction, error) {
	o, err := find(c, "actions")
	if err != nil || s.cfg.Actions == nil {
		return []api.AvailableAction{}, err
	}
	list, err := s.cfg.Actions.Available(c.Request().Context(), o, c.QueryParam("plugin"))
	if err != nil {
		return nil, err
	}
	out := []api.AvailableAction{}
	for _, a := range list {
		a.RequiredParams, a.OptionalParams = full(a.RequiredParams), full(a.OptionalParams)
		out = append(out, a)
	}
	return out, nil
}

func full(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func (s *server) listActions(c echo.Context, find target) error {
	list, err := s.available(c, find)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, list)
}

func (s *server) showAction(c echo.Context, find target) error {
	list, err := s.available(c, find)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(a api.AvailableAction) bool { return a.Command == c.Param("cmd") })
	if i < 0 {
		return resource.Errorf(resource.NotFound, "actions", c.Param("cmd"), "not found")
	}
	return c.JSON(http.StatusOK, list[i])
}

func (s *server) runAction(c echo.Context, find target) error {
	o, err := find(c, "action:"+c.Param("cmd"))
	if err != nil {
		return err
	}
	if o != nil {
		if err := (&kindServer{server: s}).refuseLocked(c, *o, nil); err != nil {
			return err
		}
	}
	data, err := optionalBody(c, s.cfg.BodyLimit)
	if err != nil {
		return err
	}
	if s.cfg.Actions == nil {
		return notWired("actions")
	}
	call := ActionCall{Object: o, Command: c.Param("cmd"), Plugin: c.QueryParam("plugin"), Params: map[string]any{}, Base: base(c)}
	if len(data) > 0 {
		if err := fromJSON(data, &call.Params); err != nil {
			return err
		}
	}
	reply, err := s.cfg.Actions.Run(hooked(c), call)
	if err != nil {
		return err
	}
	s.acted(c, call)
	return c.JSON(http.StatusOK, reply)
}
