package cli

import (
	"context"
	"fmt"

	"drpd/pkg/api"
)

func (c *clusters) status(ctx context.Context, args []string) error {
	if len(args) == 1 {
		f, err := c.facts(ctx, args[0])
		if err != nil {
			return about(err, "status of cluster %s", args[0])
		}
		if c.isTable() {
			return c.statusTable(f)
		}
		return c.print("", f.summary())
	}
	var list []*api.Machine
	if err := c.conn().get(ctx, "/clusters", nil, &list); err != nil {
		return about(err, "list clusters")
	}
	rows := []any{}
	for _, cl := range list {
		f, err := c.cluster(ctx, cl.Uuid)
		if err != nil {
			return about(err, "status of cluster %s", cl.Name)
		}
		o := f.summary()
		if c.isTable() {
			o["Members"] = fmt.Sprintf("%d/%d", f.ready(), len(f.Members))
		}
		rows = append(rows, o)
	}
	return c.print("clusters", rows)
}

func (c *clusters) statusTable(f clusterFacts) error {
	o := f.summary()
	members := o["Members"].([]any)
	o["Members"] = fmt.Sprintf("%d of %d in service", f.ready(), len(f.Members))
	if err := c.drawObject(o); err != nil || len(members) == 0 {
		return err
	}
	if err := c.line(""); err != nil {
		return err
	}
	return c.drawTable(c.columnsOf("cluster members", members), members)
}

// list is the common list; for people, with the derived state.
func (c *clusters) list(ctx context.Context, args []string) error {
	if !c.isTable() || c.flags.fields != "" {
		return c.group.list(ctx, args, &view{limit: -1, offset: -1})
	}
	q, err := filters(args)
	if err != nil {
		return err
	}
	list := []any{}
	if err := c.conn().get(ctx, "/clusters", q, &list); err != nil {
		return about(err, "list clusters")
	}
	for _, v := range list {
		o := v.(object)
		f, err := c.cluster(ctx, text(o["Uuid"]))
		if err != nil {
			return about(err, "state of cluster %s", text(o["Name"]))
		}
		o["State"], o["Members"] = f.state(), fmt.Sprintf("%d/%d", f.ready(), len(f.Members))
		o["Protected"] = map[bool]string{true: "yes"}[f.Cluster.Protected]
	}
	if len(list) == 0 {
		c.note("no clusters; define one: drpcli clusters create <name> cluster/count=3")
	}
	return c.print("clusters", list)
}

func (c *clusters) members(ctx context.Context, args []string) error {
	f, err := c.facts(ctx, args[0])
	if err != nil {
		return about(err, "members of cluster %s", args[0])
	}
	rows := []any{}
	for _, m := range f.Members {
		rows = append(rows, memberRow(m))
	}
	return c.print("cluster members", rows)
}

func (c *clusters) watch(ctx context.Context, ref string) error {
	f, err := c.facts(ctx, ref)
	if err != nil {
		return err
	}
	if f.Cluster.Workflow == "" {
		return failf(exitRefused, "cluster %s runs no workflow", f.Cluster.Name)
	}
	return c.follow(ctx, f.Cluster.Uuid, f.Cluster.Name, f.Cluster.Workflow)
}
