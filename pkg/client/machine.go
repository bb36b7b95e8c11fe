package client

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"drpd/pkg/api"
)

// WhoAmIRequest is what an agent knows of the hardware it runs on.
type WhoAmIRequest struct {
	MacAddrs    []string
	OnDiskUUID  string `json:",omitempty"`
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
	_, err := c.call(ctx, Request{Method: http.MethodPost, Path: Path("whoami"), In: req}, &out)
	return out.Result, err
}

// GrantToken makes a token for a user or machine; ttl is its life, such as "3y"
// or a number of seconds.
func (c *Client) GrantToken(ctx context.Context, kind, id, ttl string) (string, error) {
	var out struct{ Token string }
	_, err := c.call(ctx, Request{Path: Path(kind, id, "token"), Query: url.Values{"ttl": {ttl}}}, &out)
	return out.Token, err
}

// NextJob asks for the next job of a machine. Without one job is nil and reason
// says why. again means that it is a job begun before.
func (c *Client) NextJob(ctx context.Context, machine, jobContext string) (job *api.Job, again bool, reason string, err error) {
	out := new(api.Job)
	in := struct{ Machine, Context string }{machine, jobContext}
	r, err := c.call(ctx, Request{Method: http.MethodPost, Path: Path("jobs"), In: in}, out)
	if err != nil {
		return nil, false, "", err
	}
	if r.Status == http.StatusNoContent {
		return nil, false, r.Header.Get("X-DRP-Reason"), nil
	}
	return out, r.Status == http.StatusAccepted, "", nil
}

// JobActions reads the rendered scripts and files of a job.
func (c *Client) JobActions(ctx context.Context, job string) ([]api.JobAction, error) {
	var out []api.JobAction
	_, err := c.call(ctx, Request{Path: Path("jobs", job, "actions"), Query: url.Values{"os": {"linux"}}}, &out)
	return out, err
}

// AppendLog adds text to a job's log, at most 2 MiB at once. It is not retried:
// the text would appear twice if only the reply was lost.
func (c *Client) AppendLog(ctx context.Context, job string, text []byte) error {
	_, err := c.Raw(ctx, Request{Method: http.MethodPut, Path: Path("jobs", job, "log"), In: text, Once: true})
	return err
}

// LogSize is how many bytes a job's log has.
func (c *Client) LogSize(ctx context.Context, job string) (int64, error) {
	r, err := c.Raw(ctx, Request{Method: http.MethodHead, Path: Path("jobs", job, "log")})
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(r.Header.Get("X-DRP-LOG-SIZE"), 10, 64)
}

// CopyLog writes a job's log from a byte on to w, as it arrives. With follow it
// waits up to 30 s for more. n counts the bytes written, even after an error;
// ended says that the job is over and nothing will follow.
func (c *Client) CopyLog(ctx context.Context, w io.Writer, job string, from int64, follow bool) (n int64, ended bool, err error) {
	q := url.Values{"from": {strconv.FormatInt(from, 10)}, "follow": {strconv.FormatBool(follow)}}
	resp, err := c.Stream(ctx, Request{Path: Path("jobs", job, "log"), Query: q})
	if err != nil {
		return 0, false, err
	}
	defer resp.Body.Close()
	if n, err = io.Copy(w, resp.Body); err != nil {
		return n, false, &ConnError{Host: c.base.Host, Err: err}
	}
	size, _ := strconv.ParseInt(resp.Header.Get("X-DRP-LOG-SIZE"), 10, 64)
	return n, resp.Header.Get("X-DRP-LOG-END") == "true" && from+n >= size, nil
}

// ReadLog is CopyLog into memory, within Timeout and the time it waits.
func (c *Client) ReadLog(ctx context.Context, job string, from int64, follow bool) (text []byte, ended bool, err error) {
	if c.cfg.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.cfg.Timeout+time.Minute)
		defer cancel()
	}
	var b bytes.Buffer
	_, ended, err = c.CopyLog(ctx, &b, job, from, follow)
	return b.Bytes(), ended, err
}
