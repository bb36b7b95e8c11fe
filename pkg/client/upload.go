package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"drpd/pkg/api"
)

// Upload is one file to send.
type Upload struct {
	Area     string // files or isos
	Path     string // below the area
	Body     io.Reader
	Size     int64 // bytes; -1 if not known
	SHA256   string
	Progress func(sent int64) // called as bytes leave; may be nil
}

// UploadFile streams a file to the server, which refuses it if the checksum is
// another than SHA256, unless that is "". It returns the file as stored.
func (c *Client) UploadFile(ctx context.Context, u Upload) (*api.File, error) {
	q := Request{Method: http.MethodPost, Path: Path(u.Area) + Slashed(u.Path), In: u.Body, Size: u.Size, Header: http.Header{}}
	if u.Progress != nil {
		q.In = &counting{r: u.Body, tell: u.Progress}
	}
	if u.SHA256 != "" {
		q.Header.Set("X-DRP-SHA256SUM", u.SHA256)
	}
	resp, err := c.Stream(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("upload %s/%s: %w", u.Area, u.Path, err)
	}
	defer resp.Body.Close()
	var got struct{ Size int64 }
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		return nil, fmt.Errorf("read reply of upload %s: %w", u.Path, err)
	}
	return &api.File{Path: u.Area + "/" + u.Path, Size: got.Size, SHA256: resp.Header.Get("X-DRP-SHA256SUM")}, nil
}

type counting struct {
	r    io.Reader
	n    int64
	tell func(int64)
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.tell(c.n)
	return n, err
}
