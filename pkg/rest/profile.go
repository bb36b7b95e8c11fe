package rest

import (
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	runtime "runtime/pprof"

	"drpd/pkg/resource"
)

// maxProfile bounds how long one profile may gather.
const maxProfile = 5 * time.Minute

// profile answers GET /debug/<name> with a profile of this process, as
// go tool pprof and go tool trace read it.
func (s *server) profile(c echo.Context) error {
	name := c.Param("profile")
	if err := allow(c, "debug", "get", name); err != nil {
		return err
	}
	if text := c.QueryParam("seconds"); text != "" {
		n, err := strconv.Atoi(text)
		if limit := int(maxProfile.Seconds()); err != nil || n < 0 || n > limit {
			return resource.Errorf(resource.Malformed, "debug", name, "seconds is %q: want 0 to %d", text, limit)
		}
	}
	switch {
	case name == "profile":
		pprof.Profile(c.Response(), c.Request())
	case name == "trace":
		pprof.Trace(c.Response(), c.Request())
	case runtime.Lookup(name) != nil:
		pprof.Handler(name).ServeHTTP(c.Response(), c.Request())
	default:
		return resource.Errorf(resource.NotFound, "debug", name, "there is no such profile")
	}
	return nil
}
