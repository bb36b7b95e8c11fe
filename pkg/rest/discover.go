package rest

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// objects lists the kinds by name, those that providers declare too.
func (s *server) objects(c echo.Context) error {
	names := []string{}
	for _, k := range s.cfg.DB.Kinds() {
		names = append(names, k.KindName())
	}
	if s.kinds[api.PluginProviders.Name] != nil {
		for name := range api.Declared(s.cfg.DB.View()) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return c.JSON(http.StatusOK, names)
}

// indexesOf are the indexes of one kind by name.
func indexesOf(k resource.Any) map[string]resource.IndexInfo {
	out := map[string]resource.IndexInfo{}
	for _, x := range k.IndexInfos() {
		out[x.Name] = x
	}
	return out
}

func (s *server) indexes(c echo.Context) error {
	all := map[string]map[string]resource.IndexInfo{}
	for _, k := range s.cfg.DB.Kinds() {
		all[k.KindName()] = indexesOf(k)
	}
	return c.JSON(http.StatusOK, all)
}

func (s *server) kindIndexes(c echo.Context) error {
	k := s.kindNamed(c.Param("prefix"))
	if k == nil {
		return resource.Errorf(resource.NotFound, "indexes", c.Param("prefix"), "not found")
	}
	return c.JSON(http.StatusOK, indexesOf(k))
}

// oneIndex describes an index, or what filtering by a param is like.
func (s *server) oneIndex(c echo.Context) error {
	prefix, k, name := c.Param("prefix"), s.kindNamed(c.Param("prefix")), c.Param("*")
	if k == nil {
		return resource.Errorf(resource.NotFound, "indexes", prefix, "not found")
	}
	if x, ok := indexesOf(k)[name]; ok {
		return c.JSON(http.StatusOK, x)
	}
	def, err := api.ParamDefs.Get(s.cfg.DB.View(), name)
	if err != nil || !s.carriesParams(k) {
		return resource.Errorf(resource.NotFound, "indexes", prefix+"/"+name, "not found")
	}
	return c.JSON(http.StatusOK, paramIndex(def))
}

func paramIndex(def *api.Param) resource.IndexInfo {
	x := resource.IndexInfo{Name: def.Name, Type: "string"}
	if schema, ok := def.Schema.(map[string]any); ok {
		if t, ok := schema["type"].(string); ok {
			x.Type = t
		}
	}
	x.Unordered = x.Type == "array" || x.Type == "object"
	x.Regex = x.Type == "string"
	return x
}

// carriesParams says whether objects of a kind have params.
func (s *server) carriesParams(k resource.Any) bool {
	zero, err := k.Decode([]byte("{}"))
	return err == nil && k.ParamsOf(zero) != nil
}
