package daemon

import (
	"context"
	"net/http"
	"slices"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/pool"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// poolRoutes are the operations on pools. A pool needs no object, so they are
// routes and not verbs.
func (d *Daemon) poolRoutes() []rest.Route {
	out := []rest.Route{
		{Method: http.MethodGet, Path: "/pools-active", Serve: d.poolsActive},
		{Method: http.MethodGet, Path: "/pools/:id/status", Serve: d.poolStatus},
		{Method: http.MethodPost, Path: "/machines/:id/releaseToPool", Serve: d.releaseToPool, Long: true},
	}
	for _, verb := range []pool.Verb{pool.Add, pool.Remove, pool.Allocate, pool.Release} {
		out = append(out, rest.Route{Method: http.MethodPost, Path: "/pools/:id/" + string(verb), Long: true,
			Serve: func(ctx context.Context, r rest.Request) (int, any, error) { return d.poolVerb(ctx, r, verb) }})
	}
	return out
}

// idOf is the object that a route's URL names.
func idOf(r rest.Request) (string, error) {
	return r.Param("id"), nil
}

func (d *Daemon) poolsActive(_ context.Context, r rest.Request) (int, any, error) {
	list := slices.DeleteFunc(pool.Active(d.DB.View()), func(name string) bool { return !r.Identity.Allow("pools", "list", name) })
	return http.StatusOK, list, nil
}

func (d *Daemon) poolStatus(_ context.Context, r rest.Request) (int, any, error) {
	id, err := idOf(r)
	if err != nil {
		return 0, nil, err
	}
	if err := r.Allow("pools", "get", id); err != nil {
		return 0, nil, err
	}
	v := d.DB.View()
	list := pool.Members(v, id)
	if len(list) == 0 && !api.Pools.Has(v, id) {
		return 0, nil, resource.Errorf(resource.NotFound, "pools", id, "there is no pool %q, and no machine is in one of that name", id)
	}
	return http.StatusOK, list, nil
}

func (d *Daemon) poolVerb(ctx context.Context, r rest.Request, verb pool.Verb) (int, any, error) {
	id, err := idOf(r)
	if err != nil {
		return 0, nil, err
	}
	if err := r.Allow("pools", "action:"+string(verb), id); err != nil {
		return 0, nil, err
	}
	q, err := pool.Parse(verb, id, r.Body, r.Query)
	if err != nil {
		return 0, nil, err
	}
	if verb == pool.Add { // whoever takes from a pool must be allowed to
		if err := r.Allow("pools", "action:"+string(pool.Remove), q.Source); err != nil {
			return 0, nil, err
		}
	}
	if r.Identity.IsUser() {
		q.User = resource.Actor(ctx)
	}
	return d.operate(ctx, q)
}

// releaseToPool gives back one machine, which may ask for it itself.
func (d *Daemon) releaseToPool(ctx context.Context, r rest.Request) (int, any, error) {
	id, err := idOf(r)
	if err != nil {
		return 0, nil, err
	}
	o, err := api.Machines.Lookup(d.DB.View(), id)
	if err != nil {
		return 0, nil, err
	}
	if err := r.Allow("machines", "action:releaseToPool", o.Key); err != nil {
		return 0, nil, err
	}
	q, err := pool.Parse(pool.Release, o.Val.(*api.Machine).Pool, r.Body, r.Query)
	if err != nil {
		return 0, nil, err
	}
	q.Count, q.Minimum, q.All, q.List = 0, 1, false, []string{o.Key}
	return d.operate(ctx, q)
}

// operate moves the machines and tells how they stand, at once or when they
// have come to rest.
func (d *Daemon) operate(ctx context.Context, q pool.Request) (int, any, error) {
	var ids []string
	err := d.DB.Update(ctx, func(tx *resource.Tx) (err error) {
		ids, err = pool.Operate(tx, q, match)
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	d.awaitStable(ctx, ids, q.Wait)
	return http.StatusOK, pool.Results(d.DB.View(), ids), nil
}

// awaitStable returns when the machines are at rest, after limit, or when the
// caller has gone. It holds nothing meanwhile.
func (c *Core) awaitStable(ctx context.Context, ids []string, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for ctx.Err() == nil {
		after := c.DB.Seq()
		if c.stable(ids) {
			return
		}
		for _, err := range c.DB.Watch(ctx, after, resource.OfKinds(api.Machines.Name)) {
			if err != nil || c.stable(ids) {
				break
			}
		}
	}
}

func (c *Core) stable(ids []string) bool {
	return !slices.ContainsFunc(pool.Results(c.DB.View(), ids), func(r pool.Result) bool { return !pool.Stable(r.Status) })
}
