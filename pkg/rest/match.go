package rest

import (
	"net/url"
	"strings"

	"drpd/pkg/resource"
)

// Match says whether an object fits a filter text: list filters separated by
// spaces, as "Pool=lab cluster/tags=In(a,b)". param finds parameters as
// Config.Param does.
func Match(r resource.Reader, k resource.Any, o resource.Object, filter string, param func(r resource.Reader, val any, name string) (any, bool)) (bool, error) {
	values := url.Values{}
	for _, part := range strings.Fields(filter) {
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return false, badFilter("%q is not of the form Key=Value or Key=Op(values)", part)
		}
		values.Add(key, value)
	}
	q, err := parseQuery(values)
	if err != nil {
		return false, err
	}
	f := newFields(k, r, param, nil)
	if err := f.check(&q); err != nil {
		return false, err
	}
	return q.holds(f, o), nil
}
