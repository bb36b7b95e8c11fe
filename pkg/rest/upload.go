package rest

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"syscall"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/blob"
	"drpd/pkg/resource"
)

// maxParts is how many parts of a form are looked at for the file.
const maxParts = 16

// upload stores the body and then, once it is durable, its object.
func (h *kindServer) upload(c echo.Context, name string) error {
	r := c.Request()
	in, err := uploaded(r)
	if err != nil {
		return err
	}
	if err := allow(c, h.kind.KindName(), "create", name); err != nil {
		return err
	}
	explode := isTrue(c.QueryParam("explode"))
	if explode && !strings.HasPrefix(name, "files/") {
		return resource.Errorf(resource.Malformed, "files", name, "only what is uploaded under files is unpacked with explode: media of boot environments unpack by themselves")
	}
	if r.ContentLength > h.cfg.UploadLimit {
		return failf(http.StatusRequestEntityTooLarge, "TooLarge", "%s has %d bytes, %d at most", name, r.ContentLength, h.cfg.UploadLimit)
	}
	want, err := wantedSum(r)
	if err != nil {
		return err
	}
	if !h.uploads.add(name) {
		return inUse(name)
	}
	defer h.uploads.remove(name)
	info, err := h.store(r.Context(), name, in, want)
	if err != nil {
		return err
	}
	if explode {
		if err := h.explode(c, name); err != nil {
			return err
		}
	}
	c.Response().Header().Set("X-DRP-SHA256SUM", info.SHA256)
	short := strings.TrimPrefix(name, "files") // DRP names files from their root, ISOs without it
	return c.JSON(http.StatusCreated, UploadReply{Path: strings.TrimPrefix(short, "isos/"), Size: info.Size})
}

// store keeps one file and its object. Media that come from it are unpacked anew.
func (h *kindServer) store(ctx context.Context, name string, in io.Reader, want string) (blob.Info, error) {
	info, err := h.cfg.Blobs.Put(ctx, name, in, blob.PutOptions{MaxSize: h.cfg.UploadLimit, SHA256: want})
	if err != nil {
		return info, putError(name, err)
	}
	return info, h.cfg.DB.Update(context.WithoutCancel(ctx), func(tx *resource.Tx) error {
		if iso, ok := strings.CutPrefix(name, "isos/"); ok && h.kinds[api.Media.Name] != nil {
			if err := api.UnpackAgain(tx, iso, info.SHA256); err != nil {
				return err
			}
		}
		return api.Files.Put(tx, &api.File{Path: name, Size: info.Size, SHA256: info.SHA256})
	})
}

// uploaded is the file in a request: its body, or the first file of a form.
func uploaded(r *http.Request) (io.Reader, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	switch {
	case err == nil && kind == octets:
		return r.Body, nil
	case err != nil || kind != "multipart/form-data" || params["boundary"] == "":
		return nil, failf(http.StatusUnsupportedMediaType, "BadRequest", "send the file as %s, or as multipart/form-data", octets)
	}
	form, err := r.MultipartReader()
	if err != nil {
		return nil, resource.Errorf(resource.Malformed, "files", "", "read form: %v", err)
	}
	for range maxParts {
		part, err := form.NextPart()
		if err != nil {
			return nil, resource.Errorf(resource.Malformed, "files", "", "the form holds no file: %v", err)
		}
		if part.FileName() != "" {
			return &formFile{part}, nil
		}
	}
	return nil, resource.Errorf(resource.Malformed, "files", "", "the form has no file among its first %d parts", maxParts)
}

// formFile says of a form that is cut off that it is malformed.
type formFile struct{ part io.Reader }

func (f *formFile) Read(p []byte) (int, error) {
	n, err := f.part.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = resource.Errorf(resource.Malformed, "files", "", "the form ends before its file does: its last boundary is missing")
	}
	return n, err
}

func inUse(name string) error {
	return blobError(resource.Conflict, name, "is being uploaded or removed by someone else")
}

// putError says what went wrong with an upload.
func putError(name string, err error) error {
	if errors.Is(err, blob.ErrChecksum) || errors.Is(err, blob.ErrTooLarge) {
		return err
	}
	if e, ok := errors.AsType[*resource.Error](err); ok {
		return e
	}
	for _, clash := range []error{syscall.EISDIR, syscall.ENOTDIR, syscall.EEXIST, syscall.ENOTEMPTY} {
		if errors.Is(err, clash) {
			return &fail{http.StatusConflict, "", blobError(resource.Conflict, name, "a file and a folder cannot have the same name")}
		}
	}
	return blobError(resource.Unavailable, name, "upload not complete: %v", err)
}

func wantedSum(r *http.Request) (string, error) {
	want := r.Header.Get("X-DRP-SHA256SUM")
	if q := r.URL.Query().Get("sha256"); q != "" {
		want = q
	}
	want = strings.ToLower(strings.TrimSpace(want))
	if want != "" && (len(want) != 64 || strings.Trim(want, "0123456789abcdef") != "") {
		return "", resource.Errorf(resource.Malformed, "files", "", "the expected SHA-256 %q is not 64 hexadecimal digits", want)
	}
	return want, nil
}
