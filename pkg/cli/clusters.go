package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"drpd/pkg/api"
)

// clusters are the verbs of clusters only.
type clusters struct {
	*group
	detach bool
	typed  []string // params whose values were asked for and not shown
}

func (c *clusters) verbs() []*cobra.Command {
	var flow string
	create := c.cmd("create <id> [param=value]...", "Define a cluster and provision it; params are its definition.",
		func(ctx context.Context, a []string) error { return c.create(ctx, a, flow) })
	create.Example = "  drpcli clusters create web cluster/count=3\n  drpcli clusters create web --workflow my-cluster broker/name=rack-east\n  drpcli clusters create web.yaml --detach"
	create.Flags().StringVar(&flow, "workflow", flowProvision, "workflow that provisions it")
	out := []*cobra.Command{create,
		c.cmd("bootstrap <id> [param=value]...", "The same as create.", func(ctx context.Context, a []string) error { return c.create(ctx, a, flowProvision) }),
		c.cmd("restore <id>", "Provision a defined cluster, or resume where it failed.", c.restore),
		c.cmd("destroy <id>", "Tear a cluster down: members go back to their pool and are wiped; the definition stays.", c.destroy)}
	for _, v := range out {
		v.Flags().BoolVar(&c.detach, "detach", false, "do not follow the work")
	}
	return append(out,
		c.cmd("define <id> [param=value]...", "Define a cluster without provisioning it.", func(ctx context.Context, a []string) error {
			_, err := c.define(ctx, a, "", true)
			return err
		}),
		c.cmd("forget <id>", "Delete a cluster's definition; refused while it holds machines.", c.forget),
		c.cmd("protect <id>", "Keep the cluster: no member is wiped, installed anew or released; it is not destroyed or forgotten.", func(ctx context.Context, a []string) error { return c.protect(ctx, a[0], true) }),
		c.cmd("unprotect <id>", "Lift the protection; nothing else does.", func(ctx context.Context, a []string) error { return c.protect(ctx, a[0], false) }),
		c.cmd("status [<id>]", "Show the state of one cluster, or of all, with members and reasons.", c.status),
		c.cmd("watch <id>", "Follow the present run.", func(ctx context.Context, a []string) error { return c.watch(ctx, a[0]) }),
		c.cmd("list [Field=value]...", "List clusters with their state.", c.list),
		c.cmd("members <id>", "List the machines that a cluster holds.", c.members),
	)
}

// define creates the record; all pairs that are no fields are params.
func (c *clusters) define(ctx context.Context, args []string, flow string, show bool) (doc, error) {
	body, err := c.newBody(api.Clusters, args)
	if err != nil {
		return doc{}, err
	}
	if flow != "" && text(body["Workflow"]) == "" {
		body["Workflow"] = flow
	}
	if err := c.guide(ctx, body, flow); err != nil {
		return doc{}, err
	}
	if c.flags.dryRun {
		c.note("would create cluster %s", nameOf(body))
		for _, name := range c.typed {
			body["Params"].(object)[name] = "(not shown)"
		}
		return doc{val: body}, c.print("clusters", body)
	}
	var o doc
	if err := c.conn().call(ctx, http.MethodPost, "/clusters", c.forced(), body, &o); err != nil {
		f := asFailure(err)
		if f.code == exitRefused && f.fix == "" {
			g := *f
			g.fix = "if it exists: drpcli clusters restore " + nameOf(body)
			err = &g
		}
		return doc{}, about(err, "create cluster %s", nameOf(body))
	}
	if show {
		return o, c.print("clusters", o)
	}
	return o, nil
}

func (c *clusters) create(ctx context.Context, args []string, flow string) error {
	o, err := c.define(ctx, args, flow, false)
	if err != nil || c.flags.dryRun {
		return err
	}
	return c.follow(ctx, o.text("Uuid"), o.text("Name"), o.text("Workflow"))
}

// restore starts provisioning, or resumes it at the task that failed.
func (c *clusters) restore(ctx context.Context, args []string) error {
	f, err := c.facts(ctx, args[0])
	if err != nil {
		return err
	}
	cl := f.Cluster
	ops := []patchOp{setField("WorkOrderMode", false), setField("Workflow", flowProvision)}
	switch st := f.state(); {
	case st == stateLive && cl.Workflow != flowDestroy:
		return c.unchanged("", f.summary(), "cluster %s is live", cl.Name)
	case st == stateDestroying:
		return &failure{code: exitRefused, what: "cluster " + cl.Name + " is being destroyed", fix: "wait: drpcli clusters watch " + cl.Name}
	case f.broken() && cl.Workflow != flowDestroy:
		ops = []patchOp{setField("Runnable", true)}
	case st == stateProvisioning && cl.Runnable:
		c.note("cluster %s is provisioning already", cl.Name)
		return c.follow(ctx, cl.Uuid, cl.Name, cl.Workflow)
	case st == stateProvisioning:
		ops = []patchOp{setField("Runnable", true)}
	case cl.Workflow == flowProvision && !c.flags.dryRun:
		// Setting the same workflow starts nothing: clear it first.
		if _, err := c.change(ctx, api.Clusters, cl.Uuid, setField("WorkOrderMode", false), setField("Workflow", "")); err != nil {
			return about(err, "restore cluster %s", cl.Name)
		}
	}
	done, err := c.change(ctx, api.Clusters, cl.Uuid, ops...)
	if err != nil || c.flags.dryRun {
		return about(err, "restore cluster %s", cl.Name)
	}
	return c.follow(ctx, cl.Uuid, cl.Name, done.text("Workflow"))
}

func (c *clusters) facts(ctx context.Context, ref string) (clusterFacts, error) {
	key, err := c.keyFor(ctx, api.Clusters, ref)
	if err != nil {
		return clusterFacts{}, err
	}
	return c.cluster(ctx, key)
}

// destroy shows what will be lost, wants the name, and starts the way back.
func (c *clusters) destroy(ctx context.Context, args []string) error {
	f, err := c.facts(ctx, args[0])
	if err != nil {
		return err
	}
	cl := f.Cluster
	if cl.Workflow == flowDestroy && cl.WorkflowComplete && len(f.Members) == 0 {
		return c.unchanged("", f.summary(), "cluster %s is destroyed already", cl.Name)
	}
	ops := []patchOp{setField("WorkOrderMode", false), setField("Workflow", flowDestroy)}
	if f.state() == stateDestroying && cl.Runnable {
		return c.follow(ctx, cl.Uuid, cl.Name, flowDestroy)
	}
	if cl.Workflow == flowDestroy && !cl.WorkflowComplete {
		ops = []patchOp{setField("Runnable", true)}
	}
	if c.plan("destroy", f); c.flags.dryRun {
		return nil
	}
	if err := c.confirm("destroy", "clusters", cl.Name); err != nil {
		return err
	}
	if _, err := c.change(ctx, api.Clusters, cl.Uuid, ops...); err != nil {
		return about(err, "destroy cluster %s", cl.Name)
	}
	return c.follow(ctx, cl.Uuid, cl.Name, flowDestroy)
}

// plan says on standard error what a destructive verb is about to do.
func (c *clusters) plan(verb string, f clusterFacts) {
	cl := f.Cluster
	c.note("Plan: %s cluster %s (%s, generation %d, %d machines)", verb, cl.Name, f.state(), cl.Generation, len(f.Members))
	for _, m := range f.Members {
		c.note("  %s  machine %s %s  leaves the cluster, is wiped and goes back to pool %s", memberName(m), m.Name, m.Address, m.Pool)
	}
	if verb == "forget" {
		c.note("  the definition and its profile %s are deleted for good", cl.Name)
	} else {
		c.note("  the definition stays: drpcli clusters restore %s builds it again", cl.Name)
	}
}

func (c *clusters) forget(ctx context.Context, args []string) error {
	f, err := c.facts(ctx, args[0])
	if err != nil {
		return err
	}
	if n := len(f.Members); n > 0 {
		return &failure{code: exitRefused, what: fmt.Sprintf("cluster %s is live with %d machines", f.Cluster.Name, n), fix: "drpcli clusters destroy " + f.Cluster.Name}
	}
	if c.plan("forget", f); c.flags.dryRun {
		return nil
	}
	if err := c.confirm("forget", "clusters", f.Cluster.Name); err != nil {
		return err
	}
	if err := c.conn().call(ctx, http.MethodDelete, at("clusters", f.Cluster.Uuid), c.forced(), nil, nil); err != nil {
		return about(err, "forget cluster %s", f.Cluster.Name)
	}
	c.note("forgot cluster %s", f.Cluster.Name)
	return nil
}

func (c *clusters) protect(ctx context.Context, ref string, on bool) error {
	f, err := c.facts(ctx, ref)
	if err != nil {
		return err
	}
	name, verb := f.Cluster.Name, map[bool]string{true: "protect", false: "unprotect"}[on]
	if f.Cluster.Protected == on {
		return c.unchanged("", f.summary(), "cluster %s is %sprotected already", name, map[bool]string{false: "not "}[on])
	}
	if c.flags.dryRun {
		c.note("would %s cluster %s", verb, name)
		return nil
	}
	if err := c.conn().call(ctx, http.MethodPost, at("clusters", f.Cluster.Uuid, verb), nil, nil, nil); err != nil {
		return about(err, "%s cluster %s", verb, name)
	}
	c.note("cluster %s is %sprotected", name, map[bool]string{false: "not "}[on])
	f.Cluster.Protected = on
	return c.print("", f.summary())
}

// retry is the command that goes on after a failure.
func retry(flow, name string) string {
	if flow == flowDestroy {
		return "drpcli clusters destroy " + name
	}
	return "drpcli clusters restore " + name
}

func short(flow string) string { return strings.TrimPrefix(flow, "universal-cluster-") }
