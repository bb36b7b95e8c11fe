//go:build linux

package agent

import (
	"context"
	"fmt"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/client"
)

const (
	// callTimeout is how long one request may take; the server's own limit is a
	// minute.
	callTimeout = 70 * time.Second
	// maxReply bounds what the server may answer, in bytes.
	maxReply = 16 << 20
)

// newClient makes each call one request: what may be repeated and what must be
// looked up first is the agent's to know.
func newClient(c Config) (*client.Client, error) {
	return client.New(client.Config{Endpoint: c.Endpoint, Token: c.Token, CAFingerprint: c.CAFingerprint, AnyName: true,
		Timeout: callTimeout, MaxReply: maxReply, Retries: -1, Direct: true})
}

// client calls the server with the token at hand; it changes with identify.
func (a *agent) client() *client.Client {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.api
}

func (a *agent) setToken(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.api = a.api.WithToken(token)
}

func (a *agent) getMachine(ctx context.Context, id string) (*api.Machine, error) {
	return ask(ctx, a, func(c *client.Client) (*api.Machine, error) {
		for _, k := range api.MachineLike() {
			if k.Name == a.cfg.Kind {
				return client.Get(ctx, c, k, id)
			}
		}
		return nil, fmt.Errorf("%w: Kind %q is not known", errLeave, a.cfg.Kind)
	})
}

func (a *agent) patchMachine(ctx context.Context, id string, ops ...client.Op) error {
	return a.call(ctx, func(c *client.Client) error {
		for _, k := range api.MachineLike() {
			if k.Name == a.cfg.Kind {
				_, err := client.Patch(ctx, c, k, id, ops...)
				return err
			}
		}
		return nil
	})
}

func (a *agent) getJob(ctx context.Context, id string) (*api.Job, error) {
	return ask(ctx, a, func(c *client.Client) (*api.Job, error) { return client.Get(ctx, c, api.Jobs, id) })
}

// nextJob asks for work; nil if there is none.
func (a *agent) nextJob(ctx context.Context, machine string) (*api.Job, error) {
	return ask(ctx, a, func(c *client.Client) (*api.Job, error) {
		j, _, _, err := c.NextJob(ctx, machine, a.cfg.Context)
		return j, err
	})
}

// runningOrder is the work order that the machine runs, nil if none.
func (a *agent) runningOrder(ctx context.Context, machine string) (*api.WorkOrder, error) {
	list, err := ask(ctx, a, func(c *client.Client) ([]*api.WorkOrder, error) {
		return client.List(ctx, c, api.WorkOrders, "State=running", client.Filter("Machine="+machine))
	})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}
