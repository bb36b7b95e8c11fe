package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"drpd/pkg/api"
	"drpd/pkg/blank"
	"drpd/pkg/pool"
	"drpd/pkg/resource"
)

// wipeMachine is POST /machines/<id>/wipe: the disks of a machine that nobody
// has are wiped, as when it was released.
func (d *Daemon) wipeMachine(ctx context.Context, o resource.Object, _ []byte, _ url.Values) (int, any, error) {
	return d.onMachine(ctx, o.Key, func(tx *resource.Tx) error { return pool.Wipe(tx, o.Key) })
}

// approveDisks is POST /machines/<id>/approveDisks: what discovery found on the
// disks and is nobody's may be overwritten.
func (d *Daemon) approveDisks(ctx context.Context, o resource.Object, _ []byte, _ url.Values) (int, any, error) {
	return d.onMachine(ctx, o.Key, func(tx *resource.Tx) error { return blank.Approve(tx, o.Key, resource.Actor(ctx)) })
}

// exemptDisk is POST /machines/<id>/exemptDisk: a disk that cannot be wiped
// need not be, this once.
func (d *Daemon) exemptDisk(ctx context.Context, o resource.Object, body []byte, _ url.Values) (int, any, error) {
	var e api.DiskExemption
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return 0, nil, resource.Errorf(resource.Malformed, o.Kind, o.Key, `the body is not {"Disk": "...", "Reason": "..."}: %v`, err)
	}
	return d.onMachine(ctx, o.Key, func(tx *resource.Tx) error {
		return blank.ExemptDisk(tx, o.Key, e.Disk, resource.Actor(ctx), e.Reason)
	})
}

// onMachine does something to a machine and answers with it.
func (d *Daemon) onMachine(ctx context.Context, id string, fn func(*resource.Tx) error) (int, any, error) {
	if err := d.DB.Update(ctx, fn); err != nil {
		return 0, nil, err
	}
	m, err := api.Machines.Get(d.DB.View(), id)
	return http.StatusOK, m, err
}
