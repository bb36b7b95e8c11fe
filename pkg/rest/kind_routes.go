package rest

import (
	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// kindRoutes are the routes that every kind has, with few exceptions: jobs are
// asked for, paths of files have slashes (see blobRoutes), and preferences are
// one map.
func (s *server) kindRoutes(g *echo.Group, k resource.Any) {
	p, h := "/"+k.KindName(), &kindServer{s, k}
	if k.KindName() != api.Preferences.Name {
		g.GET(p, h.list)
		g.HEAD(p, h.list)
	}
	if k.KindName() == api.Files.Name {
		return
	}
	if k.KindName() != api.Jobs.Name && !k.ServerOnly() {
		g.POST(p, h.create)
	}
	if k.KindName() == api.ParamDefs.Name {
		h.slashRoutes(g, p)
		return
	}
	g.GET(p+"/:id", h.read)
	g.HEAD(p+"/:id", h.read)
	if !k.ServerOnly() {
		g.PUT(p+"/:id", h.replace)
		g.PATCH(p+"/:id", h.patch)
		g.DELETE(p+"/:id", h.remove)
	}
	if h.hasCommon() {
		g.GET("/meta"+p+"/:id", h.getMeta)
		g.PATCH("/meta"+p+"/:id", h.patchMeta)
	}
	name := "actions"
	if k.KindName() == api.Jobs.Name { // whose actions are its scripts
		name = "plugin_actions"
	}
	s.actionRoutes(g, p+"/:id/"+name, h.actionTarget())
	if s.carriesParams(k) {
		h.paramRoutes(g, p+"/:id")
	}
	g.POST(p+"/:id/:verb", h.verb)
	g.GET(p+"/:id/:verb", h.readVerb)
}

// slashRoutes are for params, whose names have slashes: what follows the
// prefix is the name, so there are no routes below it.
func (h *kindServer) slashRoutes(g *echo.Group, p string) {
	whole := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			id := c.Param("*")
			c.SetParamNames("id")
			c.SetParamValues(id)
			return next(c)
		}
	}
	g.GET(p+"/*", h.read, whole)
	g.HEAD(p+"/*", h.read, whole)
	g.PUT(p+"/*", h.replace, whole)
	g.PATCH(p+"/*", h.patch, whole)
	g.DELETE(p+"/*", h.remove, whole)
	g.GET("/meta"+p+"/*", h.getMeta, whole)
	g.PATCH("/meta"+p+"/*", h.patchMeta, whole)
}

func (h *kindServer) paramRoutes(g *echo.Group, at string) {
	g.GET(at+"/params", h.getParams)
	g.POST(at+"/params", h.setParams)
	g.PATCH(at+"/params", h.patchParams)
	g.GET(at+"/params/*", h.getParam)
	g.POST(at+"/params/*", h.setParam)
	g.DELETE(at+"/params/*", h.deleteParam)
	g.GET(at+"/pubkey", h.publicKey)
}
