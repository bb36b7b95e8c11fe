package daemon

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// How long an admission is open.
const (
	admitFor    = 15 * time.Minute
	maxAdmitFor = 24 * time.Hour
)

// Admission is the body of POST /machines/<id>/admit and of POST /join_tokens.
type Admission struct {
	Machine string `json:",omitempty"` // uuid or Name:x; of join_tokens: "" for a machine that is new, or that nobody uses
	For     string `json:",omitempty"` // a duration such as 15m
}

// Admitted is the reply: until when, and of join_tokens the token.
type Admitted struct {
	Machine string `json:",omitempty"`
	Until   time.Time
	Token   string `json:",omitempty"`
	Command string `json:",omitempty"` // that makes a running system the machine
}

func (a Admission) life(def, most time.Duration) (time.Duration, error) {
	if a.For == "" {
		return def, nil
	}
	d, err := time.ParseDuration(a.For)
	if err != nil || d < time.Second || d > most {
		return 0, resource.Errorf(resource.Malformed, "", "", "For %q is not a duration from 1s to %s, such as 15m", a.For, most)
	}
	return d, nil
}

// admit is POST /machines/<id>/admit: the next who says to be the machine is
// taken for it, once, whatever they can show.
func (d *Daemon) admit(ctx context.Context, o resource.Object, body []byte, _ url.Values) (int, any, error) {
	var a Admission
	if len(body) > 0 {
		if err := json.Unmarshal(body, &a); err != nil {
			return 0, nil, resource.Errorf(resource.Malformed, o.Kind, o.Key, "the body is not the JSON wanted here: %v", err)
		}
	}
	life, err := a.life(admitFor, maxAdmitFor)
	if err != nil {
		return 0, nil, err
	}
	until := d.DB.Now().Add(life)
	err = d.DB.Update(ctx, func(tx *resource.Tx) error { return proof.Admit(tx, o.Key, until) })
	return http.StatusOK, Admitted{Machine: o.Key, Until: until}, err
}

// joinToken is POST /join_tokens: a token that is an operator's word for one
// machine.
func (d *Daemon) joinToken(ctx context.Context, r rest.Request) (int, any, error) {
	var a Admission
	if len(r.Body) > 0 {
		if err := json.Unmarshal(r.Body, &a); err != nil {
			return 0, nil, resource.Errorf(resource.Malformed, "join_tokens", "", "the body is not the JSON wanted here: %v", err)
		}
	}
	life, err := a.life(time.Hour, maxAdmitFor)
	if err != nil {
		return 0, nil, err
	}
	scope, action, key := api.Machines.Name, "create", ""
	if a.Machine != "" {
		o, err := api.Machines.Lookup(d.DB.View(), a.Machine)
		if err != nil {
			return 0, nil, err
		}
		action, key = "action:admit", o.Key
	}
	if err := r.Allow(scope, action, key); err != nil {
		return 0, nil, err
	}
	t, err := d.auth.JoinToken(r.Identity, key, life)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, Admitted{Machine: key, Until: d.DB.Now().Add(life), Token: t,
		Command: "curl -fsS " + d.fileURL(hostOf(r.Base)) + "/machines/join-up.sh | JOIN_TOKEN=" + t + " sh"}, nil
}
