package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"drpd/pkg/api"
	"drpd/pkg/cluster"
	"drpd/pkg/guard"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// protect is the one way to set and to lift the protection of a cluster.
func (d *Daemon) protect(on bool) rest.Verb {
	return func(ctx context.Context, o resource.Object, _ []byte, _ url.Values) (int, any, error) {
		err := d.DB.Update(ctx, func(tx *resource.Tx) error { return cluster.Protect(tx, o.Key, on, resource.Actor(ctx)) })
		if err != nil {
			return 0, nil, err
		}
		c, err := api.Clusters.Get(d.DB.View(), o.Key)
		return http.StatusOK, c, err
	}
}

// unprotectDisks lifts what objects said of a machine's disks that it does not
// have any more: of the disks in the body, or of all.
func (d *Daemon) unprotectDisks(ctx context.Context, o resource.Object, body []byte, _ url.Values) (int, any, error) {
	var disks []string
	if len(bytes.TrimSpace(body)) > 0 {
		if err := json.Unmarshal(body, &disks); err != nil {
			return 0, nil, resource.Errorf(resource.Malformed, o.Kind, o.Key, "the body is not a list of disks, by serial or WWN: %v", err)
		}
	}
	if err := d.DB.Update(ctx, func(tx *resource.Tx) error { return guard.Lift(tx, o.Key, disks) }); err != nil {
		return 0, nil, err
	}
	m, err := api.Machines.Get(d.DB.View(), o.Key)
	return http.StatusOK, m, err
}
