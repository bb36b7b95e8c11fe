package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"drpd/pkg/resource"
)

// Get reads one object by key or Index:value.
func Get[T any](ctx context.Context, c *Client, k *resource.Kind[T], id string) (*T, error) {
	v := new(T)
	_, err := c.call(ctx, Request{Method: http.MethodGet, Path: Path(k.Name, id)}, v)
	return none(v, err)
}

func none[T any](v *T, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

// Filter is one condition, as "Name=Eq(x)"; see the server's list filters.
// Conditions on one key are alternatives, different keys must all hold. The
// modifiers sort, reverse, offset, limit, slim and params go the same way.
type Filter string

func values(filters []Filter) url.Values {
	q := url.Values{}
	for _, f := range filters {
		k, v, _ := strings.Cut(string(f), "=")
		q.Add(k, v)
	}
	return q
}

// List reads the objects that the filters let through.
func List[T any](ctx context.Context, c *Client, k *resource.Kind[T], filters ...Filter) ([]*T, error) {
	var out []*T
	_, err := c.call(ctx, Request{Method: http.MethodGet, Path: Path(k.Name), Query: values(filters)}, &out)
	return out, err
}

// Count says how many objects the filters let through.
func Count[T any](ctx context.Context, c *Client, k *resource.Kind[T], filters ...Filter) (int, error) {
	r, err := c.call(ctx, Request{Method: http.MethodHead, Path: Path(k.Name), Query: values(filters)}, nil)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(r.Header.Get("X-DRP-LIST-TOTAL-COUNT"))
}

// Create adds an object and returns it as the server completed it.
func Create[T any](ctx context.Context, c *Client, k *resource.Kind[T], v *T) (*T, error) {
	out := new(T)
	_, err := c.call(ctx, Request{Method: http.MethodPost, Path: Path(k.Name), In: v}, out)
	return none(out, err)
}

// Put replaces an object. It must be whole: one read with slim or params is refused.
func Put[T any](ctx context.Context, c *Client, k *resource.Kind[T], v *T) (*T, error) {
	out := new(T)
	_, err := c.call(ctx, Request{Method: http.MethodPut, Path: Path(k.Name, k.Key(v)), In: v}, out)
	return none(out, err)
}

// Op is one operation of a JSON patch (RFC 6902).
type Op struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	From  string `json:"from,omitempty"`
	Value any    `json:"value"`
}

// MarshalJSON leaves Value out where the operation has none.
func (o Op) MarshalJSON() ([]byte, error) {
	m := map[string]any{"op": o.Op, "path": o.Path}
	switch o.Op {
	case "move", "copy":
		m["from"] = o.From
	case "remove":
	default:
		m["value"] = o.Value
	}
	return json.Marshal(m)
}

// Test makes the patch a Conflict (409) unless the field has that value.
func Test(path string, value any) Op { return Op{Op: "test", Path: path, Value: value} }

// Set gives a field, map key or list element a value, whether it had one or not.
func Set(path string, value any) Op { return Op{Op: "add", Path: path, Value: value} }

// Remove takes a field, map key or list element away.
func Remove(path string) Op { return Op{Op: "remove", Path: path} }

// Swap changes a field only while it still has the old value: compare and swap.
func Swap(path string, old, new any) []Op {
	return []Op{Test(path, old), {Op: "replace", Path: path, Value: new}}
}

// Pointer makes a JSON pointer of unescaped parts.
func Pointer(parts ...string) string {
	var b strings.Builder
	r := strings.NewReplacer("~", "~0", "/", "~1")
	for _, p := range parts {
		b.WriteString("/" + r.Replace(p))
	}
	return b.String()
}

// Patch changes parts of an object.
func Patch[T any](ctx context.Context, c *Client, k *resource.Kind[T], id string, ops ...Op) (*T, error) {
	out := new(T)
	_, err := c.call(ctx, Request{Method: http.MethodPatch, Path: Path(k.Name, id), In: slices.Clip(ops)}, out)
	return none(out, err)
}

// Delete removes an object and returns what it was.
func Delete[T any](ctx context.Context, c *Client, k *resource.Kind[T], id string) (*T, error) {
	out := new(T)
	_, err := c.call(ctx, Request{Method: http.MethodDelete, Path: Path(k.Name, id)}, out)
	return none(out, err)
}

// Params reads the params of an object: its own or, with aggregate, all that apply.
func (c *Client) Params(ctx context.Context, kind, id string, aggregate bool) (resource.Params, error) {
	var out resource.Params
	q := url.Values{"aggregate": {strconv.FormatBool(aggregate)}}
	_, err := c.call(ctx, Request{Method: http.MethodGet, Path: Path(kind, id, "params"), Query: q}, &out)
	return out, err
}

// SetParams replaces all of an object's own params.
func (c *Client) SetParams(ctx context.Context, kind, id string, p resource.Params) error {
	_, err := c.call(ctx, Request{Method: http.MethodPost, Path: Path(kind, id, "params"), In: p}, nil)
	return err
}

func paramPath(kind, id, name string) string { return Path(kind, id, "params") + Slashed(name) }

// Param reads one param into out, which stays as it is if the param is not set.
func (c *Client) Param(ctx context.Context, kind, id, name string, aggregate bool, out any) error {
	q := url.Values{"aggregate": {strconv.FormatBool(aggregate)}}
	_, err := c.call(ctx, Request{Method: http.MethodGet, Path: paramPath(kind, id, name), Query: q}, out)
	return err
}

// SetParam sets one param.
func (c *Client) SetParam(ctx context.Context, kind, id, name string, value any) error {
	_, err := c.call(ctx, Request{Method: http.MethodPost, Path: paramPath(kind, id, name), In: boxed{value}}, nil)
	return err
}

// boxed lets null be sent as a value.
type boxed struct{ v any }

func (b boxed) MarshalJSON() ([]byte, error) { return json.Marshal(b.v) }

// DeleteParam removes one param.
func (c *Client) DeleteParam(ctx context.Context, kind, id, name string) error {
	_, err := c.call(ctx, Request{Method: http.MethodDelete, Path: paramPath(kind, id, name)}, nil)
	return err
}
