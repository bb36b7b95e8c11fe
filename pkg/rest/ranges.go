package rest

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// maxRanges is how many ranges of bytes one request may ask for: each costs a
// header in the reply, so many small ones would make a large reply of nothing.
const maxRanges = 16

// serveBytes answers GET and HEAD of bytes: whole, or the ranges asked for, one
// as it is and several as multipart/byteranges; If-Range and the conditional
// headers hold against the ETag set before.
func serveBytes(c echo.Context, size int64, mod time.Time, in io.ReadSeeker) error {
	if strings.Count(c.Request().Header.Get("Range"), ",") >= maxRanges {
		c.Response().Header().Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
		return failf(http.StatusRequestedRangeNotSatisfiable, "BadRequest", "at most %d ranges of bytes in one request: ask for the rest in another", maxRanges)
	}
	http.ServeContent(c.Response(), c.Request(), "", mod, in)
	return nil
}
