package cluster

import (
	"fmt"
	"maps"
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// The broker's blueprints.
const (
	askFor   = "broker-allocate"
	giveBack = "broker-release"
)

// endJob cancels what a job of a cluster has asked others for and does not
// wait for any more, in the update that ends the job: a broker's late success
// would hold machines for a cluster that is being destroyed.
func endJob(tx *resource.Tx, old, new *api.Job) error {
	if old == nil || new == nil || old.Ended() || !new.Ended() {
		return nil
	}
	why := "its job is " + string(new.State)
	if len(new.ResultErrors) > 0 {
		why = new.ResultErrors[0]
	}
	return withdraw(tx, new, why)
}

// leaveOrderMode withdraws what the orders at work on a cluster have asked for.
// They themselves end by their rule, which looks later than a broker may.
func leaveOrderMode(tx *resource.Tx, c *api.Machine) error {
	for o := range api.WorkOrders.By(tx, "Active", c.Uuid) {
		j, err := api.Jobs.Get(tx, o.CurrentJob)
		if err != nil {
			continue // it has not begun
		}
		if err := withdraw(tx, j, c.Name+" has left WorkOrder mode"); err != nil {
			return err
		}
	}
	return nil
}

// withdraw cancels the orders that a job has noted as its own. Machines on
// their way back are not left half way: whoever asks next queues behind them.
func withdraw(tx *resource.Tx, j *api.Job, why string) error {
	for _, label := range slices.Sorted(maps.Keys(j.Note)) {
		uuid, _ := j.Note[label].(string)
		o, err := api.WorkOrders.Get(tx, uuid)
		if err != nil || o.Ended() || o.For != j.Machine || o.Blueprint == giveBack {
			continue // a note of another kind, or an order that may go on
		}
		c, err := api.Clusters.Get(tx, o.For)
		if err != nil {
			c = &api.Machine{Name: o.For} // the job ends because it is being deleted
		}
		err = api.WorkOrders.Modify(tx, uuid, func(o *api.WorkOrder) error {
			err := o.Move(api.OrderCancelled, tx.Now())
			o.Status = fmt.Sprintf("cluster %s does not wait for it any more: %s", c.Name, why)
			return err
		})
		if err != nil {
			return fmt.Errorf("withdraw what job %s asked for: %w", j.Uuid, err)
		}
	}
	return nil
}
