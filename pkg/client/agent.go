package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"drpd/pkg/api"
)

// WhoAmIRequest is what an agent knows of the hardware it runs on.
type WhoAmIRequest struct {
	MacAddrs    []string
	OnDiskUUID  string
	Fingerprint api.Fingerprint
	Env         string // the boot environment that the agent runs in
}

// WhoAmIResult names the machine and carries its token; Uuid is "" if the
// server does not know the hardware.
type WhoAmIResult struct {
	Score int
	Uuid  string
	Token string
}

// WhoAmI asks which machine this is.
func (c *Client) WhoAmI(ctx context.Context, req WhoAmIRequest) (WhoAmIResult, error) {
	var out struct{ Result WhoAmIResult }
	_, _, err := c.do(ctx, call{method: http.MethodPost, path: []string{"whoami"}, in: req, out: &out})
	return out.Result, err
}

// WithToken is the same client with another token.
func (c *Client) WithToken(token string) *Client {
	d := *c
	d.cfg.Token = token
	return &d
}

// NextJob asks for the next job of a machine. Without one job is nil and reason
// says why. again means that it is a job begun before.
func (c *Client) NextJob(ctx context.Context, machine, jobContext string) (job *api.Job, again bool, reason string, err error) {
	out := new(api.Job)
	in := struct{ Machine, Context string }{machine, jobContext}
	head, status, err := c.do(ctx, call{method: http.MethodPost, path: []string{"jobs"}, in: in, out: out})
	if err != nil {
		return nil, false, "", err
	}
	if status == http.StatusNoContent {
		return nil, false, head.Get("X-DRP-Reason"), nil
	}
	return out, status == http.StatusAccepted, "", nil
}

// JobActions reads the rendered scripts and files of a job.
func (c *Client) JobActions(ctx context.Context, job string) ([]api.JobAction, error) {
	var out []api.JobAction
	_, _, err := c.do(ctx, call{method: http.MethodGet, path: []string{"jobs", job, "actions"}, query: url.Values{"os": {"linux"}}, out: &out})
	return out, err
}

// AppendLog adds text to a job's log, at most 2 MiB at once. It is not retried:
// the text would appear twice if only the reply was lost.
func (c *Client) AppendLog(ctx context.Context, job string, text []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, c.url([]string{"jobs", job, "log"}, nil), bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := c.send(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// ReadLog reads a job's log from a byte on. With follow it waits up to 30 s for
// more. ended says that the job is over and nothing will follow.
func (c *Client) ReadLog(ctx context.Context, job string, from int64, follow bool) (text []byte, ended bool, err error) {
	q := url.Values{"from": {strconv.FormatInt(from, 10)}, "follow": {strconv.FormatBool(follow)}}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout+time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url([]string{"jobs", job, "log"}, q), nil)
	if err != nil {
		return nil, false, err
	}
	resp, err := c.send(req)
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	size, _ := strconv.ParseInt(resp.Header.Get("X-DRP-LOG-SIZE"), 10, 64)
	ended = resp.Header.Get("X-DRP-LOG-END") == "true" && from+int64(len(text)) >= size
	return text, ended, err
}

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
	body := io.Reader(u.Body)
	if u.Progress != nil {
		body = &counting{r: u.Body, tell: u.Progress}
	}
	path := append([]string{u.Area}, strings.Split(u.Path, "/")...)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url(path, nil), body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = u.Size
	req.Header.Set("Content-Type", "application/octet-stream")
	if u.SHA256 != "" {
		req.Header.Set("X-DRP-SHA256SUM", u.SHA256)
	}
	resp, err := c.send(req)
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

// Do calls any other route: path below /api/v3, in sent and out filled as JSON
// unless nil. It returns the HTTP status.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, in, out any) (int, error) {
	_, status, err := c.do(ctx, call{method: method, path: strings.Split(strings.Trim(path, "/"), "/"), query: query, in: in, out: out})
	return status, err
}
