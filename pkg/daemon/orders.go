package daemon

import (
	"context"
	"net/http"
	"net/url"

	"drpd/pkg/api"
	"drpd/pkg/batch"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/workorder"
)

// verbs are the operations on single objects: POST /<kind>/<id>/<verb>.
func (d *Daemon) verbs() map[string]rest.Verb {
	return map[string]rest.Verb{
		"machines/boot":         d.bootAgain,
		"machines/admit":        d.admit,
		"machines/unprotect":    d.unprotectDisks,
		"clusters/protect":      d.protect(true),
		"clusters/unprotect":    d.protect(false),
		"machines/wipe":         d.wipeMachine,
		"machines/approveDisks": d.approveDisks,
		"machines/exemptDisk":   d.exemptDisk,

		"work_orders/rerun":  d.rerunOrder,
		"batches/rerun":      d.rerunBatch,
		"batches/cancel":     d.cancelBatch,
		"alerts/acknowledge": d.acknowledge,
	}
}

func (d *Daemon) rerunOrder(ctx context.Context, o resource.Object, _ []byte, _ url.Values) (int, any, error) {
	var again *api.WorkOrder
	err := d.DB.Update(ctx, func(tx *resource.Tx) (err error) {
		again, err = workorder.Rerun(tx, tx.Now(), o.Key)
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	again, err = api.WorkOrders.Get(d.DB.View(), again.Uuid)
	return http.StatusCreated, again, err
}

func (d *Daemon) rerunBatch(ctx context.Context, o resource.Object, _ []byte, _ url.Values) (int, any, error) {
	var again *api.Batch
	err := d.DB.Update(ctx, func(tx *resource.Tx) (err error) {
		again, err = batch.Rerun(tx, o.Key)
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	again, err = api.Batches.Get(d.DB.View(), again.Id)
	return http.StatusCreated, again, err
}

func (d *Daemon) cancelBatch(ctx context.Context, o resource.Object, _ []byte, _ url.Values) (int, any, error) {
	err := d.DB.Update(ctx, func(tx *resource.Tx) error {
		return batch.Cancel(tx, tx.Now(), o.Key, "cancelled by "+resource.Actor(ctx))
	})
	if err != nil {
		return 0, nil, err
	}
	b, err := api.Batches.Get(d.DB.View(), o.Key)
	return http.StatusOK, b, err
}
