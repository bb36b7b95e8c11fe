//go:build linux

package agent

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"drpd/pkg/api"
)

// whoAmI is what the agent tells about the hardware and where it runs.
type whoAmI struct {
	MacAddrs    []string
	Fingerprint api.Fingerprint
	Env         string
}

// whoIs is the server's answer.
type whoIs struct {
	Result struct {
		Score int
		Uuid  string
		Token string
	}
}

// patch is one operation of a JSON patch.
type patch struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

func (r *remote) whoAmI(ctx context.Context, me whoAmI) (whoIs, error) {
	var reply whoIs
	_, _, err := r.do(ctx, http.MethodPost, "/whoami", me, &reply)
	return reply, err
}

func (r *remote) machine(ctx context.Context, id string) (*api.Machine, error) {
	m := &api.Machine{}
	_, _, err := r.do(ctx, http.MethodGet, "/machines/"+url.PathEscape(id), nil, m)
	return m, err
}

func (r *remote) patchMachine(ctx context.Context, id string, p []patch) error {
	_, _, err := r.do(ctx, http.MethodPatch, "/machines/"+url.PathEscape(id), p, nil)
	return err
}

// params are all that apply to the machine, through its profiles too.
func (r *remote) params(ctx context.Context, id string) (map[string]any, error) {
	m := map[string]any{}
	_, _, err := r.do(ctx, http.MethodGet, "/machines/"+url.PathEscape(id)+"/params?aggregate=true", nil, &m)
	return m, err
}

// machineToken is a fresh token for the machine; ttl such as "3y".
func (r *remote) machineToken(ctx context.Context, id, ttl string) (string, error) {
	var reply struct{ Token string }
	_, _, err := r.do(ctx, http.MethodGet, "/machines/"+url.PathEscape(id)+"/token?ttl="+url.QueryEscape(ttl), nil, &reply)
	return reply.Token, err
}

// nextJob asks for work; nil if there is none.
func (r *remote) nextJob(ctx context.Context, machine, jobContext string) (*api.Job, error) {
	j := &api.Job{}
	req := struct{ Machine, Context string }{machine, jobContext}
	status, _, err := r.do(ctx, http.MethodPost, "/jobs", req, j)
	if err != nil || status == http.StatusNoContent {
		return nil, err
	}
	return j, nil
}

func (r *remote) job(ctx context.Context, id string) (*api.Job, error) {
	j := &api.Job{}
	_, _, err := r.do(ctx, http.MethodGet, "/jobs/"+url.PathEscape(id), nil, j)
	return j, err
}

func (r *remote) patchJob(ctx context.Context, id string, p []patch) error {
	_, _, err := r.do(ctx, http.MethodPatch, "/jobs/"+url.PathEscape(id), p, nil)
	return err
}

func (r *remote) actions(ctx context.Context, job string) ([]api.JobAction, error) {
	var list []api.JobAction
	_, _, err := r.do(ctx, http.MethodGet, "/jobs/"+url.PathEscape(job)+"/actions?os=linux", nil, &list)
	return list, err
}

func (r *remote) appendLog(ctx context.Context, job string, data []byte) error {
	_, _, err := r.do(ctx, http.MethodPut, "/jobs/"+url.PathEscape(job)+"/log", data, nil)
	return err
}

func (r *remote) logSize(ctx context.Context, job string) (int64, error) {
	_, h, err := r.do(ctx, http.MethodHead, "/jobs/"+url.PathEscape(job)+"/log", nil, nil)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(h.Get("X-DRP-LOG-SIZE"), 10, 64)
}

func (r *remote) task(ctx context.Context, name string) (*api.Task, error) {
	t := &api.Task{}
	_, _, err := r.do(ctx, http.MethodGet, "/tasks/"+url.PathEscape(name), nil, t)
	return t, err
}

// runningOrder is the work order that the machine runs, nil if none.
func (r *remote) runningOrder(ctx context.Context, machine string) (*api.WorkOrder, error) {
	var list []api.WorkOrder
	_, _, err := r.do(ctx, http.MethodGet, "/work_orders?State=running&Machine="+url.QueryEscape(machine), nil, &list)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}
