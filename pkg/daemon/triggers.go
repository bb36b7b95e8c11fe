package daemon

import (
	"cmp"
	"context"
	"net/http"
	"net/url"

	"drpd/pkg/alert"
	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/trigger"
	"drpd/pkg/workorder"
)

func newTriggers(match workorder.Match) *trigger.Triggers {
	return &trigger.Triggers{Match: match, Pattern: rest.EventPattern,
		Object: func(r resource.Reader, o resource.Object, filter string) (bool, error) {
			for _, k := range Kinds() {
				if k.KindName() == o.Kind {
					return rest.Match(r, k, o, filter, paramOf)
				}
			}
			return false, nil
		}}
}

// webhookRoute asks for no credentials: the call has to prove that it knows
// the trigger's key.
func (d *Daemon) webhookRoute() rest.Route {
	return rest.Route{Method: http.MethodPost, Path: "/webhooks/:id", Open: true, Serve: d.webhook}
}

// WebhookReply tells a caller what its call made.
type WebhookReply struct {
	Trigger    string
	WorkOrders []string
}

func (d *Daemon) webhook(ctx context.Context, r rest.Request) (int, any, error) {
	name, err := idOf(r)
	if err != nil {
		return 0, nil, err
	}
	call := trigger.Call{Body: r.Body, Signature: r.Header.Get("X-Hub-Signature-256"),
		Key:      cmp.Or(r.Header.Get("X-Webhook-Key"), r.Header.Get("X-Gitlab-Token"), r.Query.Get("key")),
		Delivery: cmp.Or(r.Header.Get("X-GitHub-Delivery"), r.Header.Get("X-Gitlab-Event-UUID"), r.Header.Get("Idempotency-Key"))}
	// Whoever does not know the key learns nothing, not even which triggers are.
	if !call.Proves(d.webhookKey(name)) {
		return 0, nil, resource.Errorf(resource.Forbidden, "webhooks", "", "there is no such webhook, or the key is wrong")
	}
	var f *trigger.Firing
	err = d.DB.Update(resource.WithActor(ctx, "webhook "+name), func(tx *resource.Tx) (err error) {
		f, err = d.Triggers.Called(tx, tx.Now(), name, call)
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, WebhookReply{name, f.WorkOrders}, nil
}

// webhookKey is the key of a trigger that is a webhook, "" for anything else.
func (d *Daemon) webhookKey(name string) string {
	v := d.DB.View()
	t, err := api.Triggers.Get(v, name)
	if err != nil || t.TriggerProvider != trigger.Webhook {
		return ""
	}
	sealed, from, _ := trigger.Setting(v, t, trigger.ParamKey)
	key, err := d.vault.Open(v, from.Kind, from.Key, sealed)
	if err != nil {
		d.cfg.Log.Error("webhook cannot be called", "trigger", name, "err", err)
		return ""
	}
	s, _ := key.(string)
	return s
}

// acknowledge is POST /alerts/<id>/acknowledge.
func (d *Daemon) acknowledge(ctx context.Context, o resource.Object, _ []byte, _ url.Values) (int, any, error) {
	err := d.DB.Update(ctx, func(tx *resource.Tx) error { return alert.Acknowledge(tx, tx.Now(), o.Key, resource.Actor(ctx)) })
	if err != nil {
		return 0, nil, err
	}
	a, err := api.Alerts.Get(d.DB.View(), o.Key)
	return http.StatusOK, a, err
}
