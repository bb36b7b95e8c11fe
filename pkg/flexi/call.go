package flexi

import (
	"context"
	"net/url"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/callout"
	"drpd/pkg/param"
	"drpd/pkg/render"
	"drpd/pkg/resource"
)

// call is one request in the making. What a machine writes of itself, and what
// whoever makes a work order writes into it, may be sent, but decides neither
// where secrets go nor which: for that only the other layers count.
type call struct {
	param.Resolver // of all layers
	*request
	action, kind string
	safe         param.Resolver // of the layers that are neither the object's own nor its order's
	own          bool           // the request is the object's own or its order's: it gets no secrets
	out          *callout.Policy
}

func newCall(r resource.Reader, s param.Scope, vault *param.Vault) call {
	c := call{Resolver: param.Resolver{Reader: r, Scope: s, Vault: vault}}
	c.safe = c.Resolver
	m := api.Machine{Uuid: s.Machine.Uuid, Profiles: s.Machine.Profiles}
	if c.safe.Scope.Machine = &m; s.Order != nil {
		c.safe.Scope.Order = &api.WorkOrder{Uuid: s.Order.Uuid, Blueprint: s.Order.Blueprint, Profiles: s.Order.Profiles}
	}
	return c
}

// ofItself says whether a value came from the object or its order.
func (c call) ofItself(src param.Source) bool {
	return src.Kind == c.kind || src.Kind == api.WorkOrders.Name
}

// lookUp finds the request, nil if nothing is configured. If the object or its
// order says anything of it, no secret is opened for it.
func (c *call) lookUp() (*request, error) {
	for _, own := range []resource.Params{c.Scope.Machine.Params, orderParams(c.Scope.Order)} {
		v, ok := own[ParamCallbacks]
		if param.IsSealed(v) {
			return nil, refuse(c.action, "is secure and set on the object itself or its work order: put it into a profile")
		}
		if all, isMap := v.(map[string]any); ok && isMap {
			_, ok = all[c.action]
		}
		c.own = c.own || ok
	}
	if c.own {
		c.Vault, c.safe.Vault = nil, nil
	}
	v, _, err := c.Compose(ParamCallbacks)
	if err != nil {
		return nil, err
	}
	return asked(v, c.action)
}

func orderParams(o *api.WorkOrder) resource.Params {
	if o == nil {
		return nil
	}
	return o.Params
}

// address is where a request goes. A template may name the path by anything,
// but the host only by what others than the object say.
func (c call) address(ctx context.Context, text string) (*url.URL, error) {
	full, err := c.fill(ctx, text)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(full)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, refuse(c.action, "Url must be an http or https URL with a host")
	}
	if c.own {
		return u, nil
	}
	start, err := c.render(ctx, c.safe, origin(text))
	if err == nil {
		if at, bad := url.Parse(start); bad == nil && at.Scheme == u.Scheme && at.Host == u.Host && at.User.String() == u.User.String() {
			return u, nil
		}
	}
	return nil, refuse(c.action, "the host in Url depends on what the object says of itself: take it from a profile")
}

// origin is a template of a URL up to its path.
func origin(text string) string {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch rest := text[i:]; {
		case strings.HasPrefix(rest, "{{"):
			depth++
		case strings.HasPrefix(rest, "}}"):
			depth--
		case depth == 0 && strings.HasPrefix(rest, "://"):
			i += 2
		case depth == 0 && strings.ContainsAny(text[i:i+1], "/?#"):
			return text[:i]
		}
	}
	return text
}

func (c call) fill(ctx context.Context, text string) (string, error) {
	return c.render(ctx, c.Resolver, text)
}

func (c call) render(ctx context.Context, p param.Resolver, text string) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	s := p.Scope
	out, err := render.Text(render.Context{Ctx: ctx, Reader: p.Reader, Machine: s.Machine, Stage: s.Stage, Order: s.Order, Blueprint: s.Blueprint, Vault: p.Vault},
		"callback "+c.action, text)
	if err != nil {
		return "", refuse(c.action, "a template in Url or Headers does not render, or one in callback/data-override or callback/auths")
	}
	return out, nil
}
