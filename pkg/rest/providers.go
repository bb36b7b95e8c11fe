package rest

import (
	"context"
	"io"
	"net/http"
	"os"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Providers keeps the programs of plugin providers.
type Providers interface {
	// Upload keeps a program and what it says of itself, and returns its size.
	Upload(ctx context.Context, name string, in io.Reader) (int64, error)
	// Remove takes a provider away, with all that came with it.
	Remove(ctx context.Context, name string) error
	// Program opens the program of a provider.
	Program(name string) (*os.File, error)
}

// ProviderUpload is the answer to the upload of a program, with DRP's names.
type ProviderUpload struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
}

// providerRoutes put programs of plugins on the server. They carry bulk data
// and run programs, so they have no time limit but that of the caller.
func (s *server) providerRoutes(bulk *echo.Group) {
	if s.kinds[api.PluginProviders.Name] == nil {
		return
	}
	at := "/" + api.PluginProviders.Name + "/:id"
	bulk.POST(at, s.uploadProvider)
	bulk.DELETE(at, s.removeProvider)
	bulk.GET(at+"/binary", s.downloadProvider)
}

// provider is the name in a request for a provider's program, if the caller may
// do that with it.
func (s *server) provider(c echo.Context, action string) (string, error) {
	name := c.Param("id")
	if err := allow(c, api.PluginProviders.Name, action, name); err != nil {
		return name, err
	}
	if s.cfg.Providers == nil {
		return name, notWired("plugins: they are switched off")
	}
	if msgs := api.NameProblems("Name", name); len(msgs) > 0 {
		return name, &resource.Error{Code: resource.Malformed, Kind: api.PluginProviders.Name, Key: name, Msgs: msgs}
	}
	return name, nil
}

// providerAlone is provider for one caller at a time, until done is called.
func (s *server) providerAlone(c echo.Context, action string) (name string, done func(), err error) {
	if name, err = s.provider(c, action); err != nil {
		return name, nil, err
	}
	id := api.PluginProviders.Name + "/" + name
	if !s.uploads.add(id) {
		return name, nil, inUse(id)
	}
	return name, func() { s.uploads.remove(id) }, nil
}

// uploadProvider takes a program. Its processes may do everything, so only who
// may do that too can bring one.
func (s *server) uploadProvider(c echo.Context) error {
	name, done, err := s.providerAlone(c, "create")
	if err != nil {
		return err
	}
	defer done()
	if id := identity(c); !id.All() {
		return resource.Errorf(resource.Forbidden, api.PluginProviders.Name, name, "%s may not upload it: a plugin's process may do more than %s may do", id.Name, id.Name)
	}
	in, err := uploaded(c.Request())
	if err != nil {
		return err
	}
	size, err := s.cfg.Providers.Upload(hooked(c), name, in)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, ProviderUpload{Path: name, Size: size})
}

func (s *server) removeProvider(c echo.Context) error {
	name, done, err := s.providerAlone(c, "delete")
	if err != nil {
		return err
	}
	defer done()
	o, err := api.PluginProviders.Lookup(s.cfg.DB.View(), name)
	if err != nil {
		return err
	}
	if err := s.cfg.Providers.Remove(hooked(c), o.Key); err != nil {
		return err
	}
	return c.JSONBlob(http.StatusOK, o.JSON)
}

func (s *server) downloadProvider(c echo.Context) error {
	name, err := s.provider(c, "get")
	if err != nil {
		return err
	}
	f, err := s.cfg.Providers.Program(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderContentType, octets)
	http.ServeContent(c.Response(), c.Request(), "", info.ModTime(), f)
	return nil
}
