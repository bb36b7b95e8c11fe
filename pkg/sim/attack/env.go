package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// secret is what nobody may read who has no right to; it is in a profile that
// is nobody's.
const (
	secret  = "hidden-1b9d4c-secret"
	holding = "vault" // the profile
)

// env is one server with its network.
type env struct {
	dir, program string
	net          *network
	process      *process
	admin, low   *actor
	count        int // of machines made, for their MACs
}

func (e *env) evil() *host   { return e.net.hosts[0] }
func (e *env) victim() *host { return e.net.hosts[1] }

// prepare makes what every case finds on the server.
func (e *env) prepare(ctx context.Context) error {
	for _, o := range []struct{ path, body string }{
		{"subnets", `{"Name":"boot","Subnet":"` + serverAddr + `/24","Enabled":true,"ActiveStart":"` + networkOf + `100","ActiveEnd":"` + networkOf + `250","ActiveLeaseTime":3600,"ReservedLeaseTime":7200,"Strategy":"MAC"}`},
		{"params", `{"Name":"site/secret","Secure":true,"Schema":{"type":"string"}}`},
		{"profiles", `{"Name":"` + holding + `","Params":{"site/secret":"` + secret + `"}}`},
		{"profiles", `{"Name":"plain"}`},
		{"tasks", `{"Name":"evil-task","Templates":[{"Name":"x","Contents":"#!/bin/sh\necho ran-on-$(uname -n)\n"}]}`},
		{"stages", `{"Name":"evil-stage","Tasks":["evil-task"]}`},
		{"workflows", `{"Name":"evil-flow","Stages":["evil-stage"]}`},
		{"blueprints", `{"Name":"evil-order","Tasks":["evil-task"]}`},
		{"prefs", `{"defaultWorkflow":"","defaultStage":"none","defaultBootEnv":"local"}`},
		{"roles", `{"Name":"low","Claims":[{"scope":"machines,clusters,pools,work_orders,profiles,stages,workflows,blueprints,resource_brokers,triggers,batches,prefs,jobs,tasks","action":"list,get,create,update,delete,actions,action:releaseMachines,action:allocateMachines,action:addMachines,action:removeMachines,action:releaseToPool","specific":"*"}]}`},
		{"users", `{"Name":"low","Roles":["low"]}`},
	} {
		if _, err := e.admin.must(ctx, http.MethodPost, o.path, o.body); err != nil {
			return err
		}
	}
	if _, err := e.admin.must(ctx, http.MethodPut, "users/low/password", `{"Password":"long enough 1"}`); err != nil {
		return err
	}
	var err error
	e.low, err = e.at(e.evil(), noAddr).login(ctx, "low", "long enough 1")
	return err
}

// machine is one that the first user declared.
type machine struct{ id, name, mac string }

// machine declares one, with more fields if any.
func (e *env) machine(ctx context.Context, fields map[string]any) (machine, error) {
	e.count++
	m := machine{mac: mac(1, e.count), name: fmt.Sprintf("n%d", e.count)}
	body := map[string]any{"Name": m.name, "HardwareAddrs": []string{m.mac}}
	for k, v := range fields {
		body[k] = v
	}
	text, err := e.admin.must(ctx, http.MethodPost, "machines", body)
	if err != nil {
		return m, err
	}
	var out struct{ Uuid string }
	err = json.Unmarshal([]byte(text), &out)
	m.id = out.Uuid
	return m, err
}

// claimed is a machine with its own lease at a host, and its agent's token.
func (e *env) claimed(ctx context.Context, h *host, fields map[string]any) (machine, *actor, error) {
	m, err := e.machine(ctx, fields)
	if err != nil {
		return m, nil, err
	}
	addr, err := h.offer(ctx, m.mac, true)
	if err != nil {
		return m, nil, err
	}
	a := e.at(h, addr)
	first, err := a.anybodys(ctx)
	if err != nil {
		return m, nil, err
	}
	_, token, err := a.with(first).whoami(ctx, m.mac)
	if err == nil && token == "" {
		err = fmt.Errorf("%s at %s got no token with its lease", m.name, addr)
	}
	return m, a.with(token), err
}

// patch is an edit by the first user.
func (e *env) patch(ctx context.Context, path string, fields map[string]any) error {
	var ops []map[string]any
	for k, v := range fields {
		ops = append(ops, map[string]any{"op": "add", "path": "/" + k, "value": v})
	}
	_, err := e.admin.must(ctx, http.MethodPatch, path, ops)
	return err
}

// until asks again and again, for as long as something goes on: within bounds
// the whole, not the step.
func until(ctx context.Context, within time.Duration, done func() (bool, error)) (bool, error) {
	end := time.Now().Add(within)
	for {
		ok, err := done()
		if ok || err != nil {
			return ok, err
		}
		if time.Now().After(end) {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func contains(list any, want string) bool {
	l, _ := list.([]any)
	return slices.Contains(l, any(want))
}

func idOf(text string) string {
	var out struct{ Uuid string }
	_ = json.Unmarshal([]byte(text), &out)
	return out.Uuid
}

// ran says whether the server ran a job of the machine: its log tells.
func (e *env) ran(ctx context.Context, m machine) (string, error) {
	var got string
	_, err := until(ctx, waitNoLonger, func() (bool, error) {
		text, err := e.admin.must(ctx, http.MethodGet, "jobs?Machine="+m.id, nil)
		if err != nil {
			return false, err
		}
		var jobs []struct{ Uuid, Task, State string }
		if err := json.Unmarshal([]byte(text), &jobs); err != nil {
			return false, err
		}
		for _, j := range jobs {
			if j.Task == "evil-task" {
				got = "job " + j.Uuid + " is " + j.State
			}
		}
		return got != "", nil
	})
	return got, err
}

// list is what the first user sees of a kind.
func (e *env) list(ctx context.Context, path string) ([]map[string]any, error) {
	text, err := e.admin.must(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	var out []map[string]any
	return out, json.Unmarshal([]byte(text), &out)
}
