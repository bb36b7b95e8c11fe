package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"drpd/pkg/resource"
)

type object = map[string]any

var uuidPart = regexp.MustCompile(`^[0-9a-fA-F-]{6,36}$`)

// byUUID says whether a kind's key is a uuid, so that people use other names.
func byUUID(k resource.Any) bool { return slices.Contains(k.IndexNames(), "Uuid") }

// fetch finds one object by key, name, Index:value or the beginning of its
// uuid.
func (s *session) fetch(ctx context.Context, k resource.Any, ref string, q url.Values) (doc, error) {
	var o doc
	err := s.conn().get(ctx, at(k.KindName(), refOf(k, ref)), q, &o)
	if err == nil || !isNotFound(err) {
		return o, err
	}
	if byUUID(k) && uuidPart.MatchString(ref) {
		return s.fetchByPart(ctx, k, ref, q)
	}
	return doc{}, notFound(k.KindName(), ref)
}

// refOf is how the server knows the reference.
func refOf(k resource.Any, ref string) string {
	if head, _, ok := strings.Cut(ref, ":"); ok && (head == "Key" || slices.Contains(k.IndexNames(), head)) {
		return ref
	}
	if !byUUID(k) || uuid.Validate(ref) == nil || !slices.Contains(k.IndexNames(), "Name") {
		return ref
	}
	return "Name:" + ref
}

func (s *session) fetchByPart(ctx context.Context, k resource.Any, part string, q url.Values) (doc, error) {
	if q == nil {
		q = url.Values{}
	}
	q.Set("Uuid", "Re(^"+strings.ToLower(part)+")")
	q.Set("limit", "4")
	var list []doc
	if err := s.conn().get(ctx, at(k.KindName()), q, &list); err != nil {
		return doc{}, err
	}
	switch len(list) {
	case 0:
		return doc{}, notFound(k.KindName(), part)
	case 1:
		return list[0], nil
	}
	var names []string
	for _, o := range list {
		names = append(names, fmt.Sprintf("%s (%s)", o.text("Uuid"), nameOf(o)))
	}
	return doc{}, &failure{code: exitUsage, what: fmt.Sprintf("%q begins the uuid of several %s", part, k.KindName()), cause: strings.Join(names, ", ")}
}

func isNotFound(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.status == http.StatusNotFound
}

func notFound(kind, ref string) error {
	return &failure{code: exitNotFound, status: http.StatusNotFound, what: "GET: " + kind + "/" + ref, says: []string{"Not Found"}, fix: "drpcli " + kind + " list"}
}

// keyOf is the key of a fetched object, as paths want it.
func keyOf(k resource.Any, o doc) string {
	if byUUID(k) {
		return o.text("Uuid")
	}
	if k.KindName() == "contents" {
		return o.text("meta.Name")
	}
	for _, f := range []string{"Name", "Id", "ID", "Addr", "Path", "Mac", "Uuid"} {
		if t := o.text(f); t != "" {
			return t
		}
	}
	return ""
}

// keyFor turns what a person typed into a key, with a request only where the
// two differ.
func (s *session) keyFor(ctx context.Context, k resource.Any, ref string) (string, error) {
	if !byUUID(k) || uuid.Validate(ref) == nil {
		return ref, nil
	}
	o, err := s.fetch(ctx, k, ref, nil)
	if err != nil {
		return "", err
	}
	return keyOf(k, o), nil
}

// patchOp is one operation of a JSON patch.
type patchOp struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

func setField(name string, v any) patchOp { return patchOp{"add", "/" + pointer(name), v} }

func pointer(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }

// change sends a JSON patch and returns the object as it is then.
func (s *session) change(ctx context.Context, k resource.Any, key string, ops ...patchOp) (doc, error) {
	var o doc
	if s.flags.dryRun {
		return s.dry(ctx, k, key, ops)
	}
	err := s.conn().call(ctx, http.MethodPatch, at(k.KindName(), key), s.forced(), ops, &o)
	return o, err
}

// dry shows a patch instead of sending it.
func (s *session) dry(ctx context.Context, k resource.Any, key string, ops []patchOp) (doc, error) {
	data, err := encode(ops, "")
	if err != nil {
		return doc{}, err
	}
	does := fmt.Sprintf("patch %s/%s: %s", k.KindName(), key, strings.TrimSpace(string(data)))
	s.note("would %s", does)
	if err := s.planned(ctx, planStep{Does: does, Method: http.MethodPatch, Path: at(k.KindName(), key), Body: ops}); err != nil {
		return doc{}, err
	}
	return s.fetch(ctx, k, key, nil)
}

// forced passes --force on.
func (s *session) forced() url.Values {
	if s.flags.force {
		return url.Values{"force": {"true"}}
	}
	return nil
}
