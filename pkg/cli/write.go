package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (g *group) writeVerbs() []*cobra.Command {
	create := g.cmd("create <body> [Field=value]...", "Create a "+one(g.name)+" from JSON, YAML, a file, - or a name and words.", g.create)
	create.Example = fmt.Sprintf("  drpcli %s create %s Description=new\n  drpcli %s create '{%q: %q}'\n  drpcli %s create - < object.yaml",
		g.name, sampleID(g.name), g.name, keyField(g.kind), sampleID(g.name), g.name)
	update := g.cmd("update <id> <body> [Field=value]...", "Merge a body or words into a "+one(g.name)+"; with --ref only if it is still that.", g.update)
	update.Example = fmt.Sprintf("  drpcli %s update %s Description='rack 7'\n  drpcli %s update %s '{\"Description\": \"rack 7\"}' --ref old.json",
		g.name, sampleID(g.name), g.name, sampleID(g.name))
	return []*cobra.Command{create, update,
		g.cmd("patch <id> <JSON patch>", "Change single fields with a JSON patch (RFC 6902), inline, in a file or from -.", g.patch),
		g.cmd("destroy <id>...", "Delete; --dry-run says what would go.", g.destroy)}
}

func (g *group) create(ctx context.Context, args []string) error {
	body, err := g.newBody(g.kind, args)
	if err != nil {
		return err
	}
	if g.flags.dryRun {
		does := fmt.Sprintf("create %s %s", one(g.name), nameOf(body))
		g.note("would %s", does)
		if err := g.planned(ctx, planStep{Does: does, Method: http.MethodPost, Path: at(g.name), Body: body}); err != nil {
			return err
		}
		return g.print(g.name, body)
	}
	var o doc
	if err := g.conn().call(ctx, http.MethodPost, at(g.name), g.forced(), body, &o); err != nil {
		return about(err, "create %s %s", one(g.name), nameOf(body))
	}
	if err := g.print(g.name, o); err != nil {
		return err
	}
	return g.strictErrors(o)
}

func (g *group) patch(ctx context.Context, args []string) error {
	v, err := g.bodyValue(args[1])
	if err != nil {
		return err
	}
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return err
	}
	var o doc
	if g.flags.dryRun {
		does := fmt.Sprintf("patch %s/%s with %s", g.name, key, args[1])
		g.note("would %s", does)
		return g.planned(ctx, planStep{Does: does, Method: http.MethodPatch, Path: at(g.name, key), Body: v})
	}
	if err := g.conn().call(ctx, http.MethodPatch, at(g.name, key), g.forced(), v, &o); err != nil {
		return about(err, "patch %s %s", one(g.name), args[0])
	}
	return g.print(g.name, o)
}

// update sends only the difference, so that changes by others stay.
func (g *group) update(ctx context.Context, args []string) error {
	o, err := g.fetch(ctx, g.kind, args[0], nil)
	if err != nil {
		return err
	}
	set, err := g.updateBody(args[1:])
	if err != nil {
		return err
	}
	ops, err := g.refTests()
	if err != nil {
		return err
	}
	tests := len(ops)
	for _, name := range sortedKeys(set) {
		ops = append(ops, mergeOps(name, o.at(name), set[name])...)
	}
	if len(ops) == tests {
		return g.unchanged(g.name, o, "%s %s is as wanted", one(g.name), args[0])
	}
	done, err := g.change(ctx, g.kind, keyOf(g.kind, o), ops...)
	if err != nil {
		return about(err, "update %s %s", one(g.name), args[0])
	}
	if err := g.print(g.name, done); err != nil {
		return err
	}
	return g.strictErrors(done)
}

// refTests makes --ref a condition: each field of it must still be so. Those
// that the server computes are left out.
func (s *session) refTests() ([]patchOp, error) {
	if s.flags.ref == "" {
		return nil, nil
	}
	was, err := s.bodyObject(s.flags.ref)
	if err != nil {
		return nil, err
	}
	var ops []patchOp
	for _, name := range sortedKeys(was) {
		if !slices.Contains([]string{"Validated", "Available", "Errors", "ReadOnly", "Bundle", "Endpoint", "Partial"}, name) {
			ops = append(ops, patchOp{"test", "/" + pointer(name), was[name]})
		}
	}
	return ops, nil
}

func (g *group) updateBody(args []string) (object, error) {
	set := object{}
	if !strings.Contains(args[0], "=") || inline(args[0]) {
		body, err := g.bodyObject(args[0])
		if err != nil {
			return nil, err
		}
		set, args = body, args[1:]
	}
	more, err := g.pairs(args)
	if err != nil {
		return nil, err
	}
	return set, assign(g.kind, set, more)
}

// mergeOps sets one field; the keys of Params and Meta one by one.
func mergeOps(name string, was, want any) []patchOp {
	m, ok := want.(map[string]any)
	if !ok || name != "Params" && name != "Meta" {
		if same(was, want) {
			return nil
		}
		return []patchOp{setField(name, want)}
	}
	var ops []patchOp
	if was == nil {
		ops = append(ops, setField(name, object{}))
	}
	for _, k := range sortedKeys(m) {
		if m[k] == nil {
			ops = append(ops, patchOp{Op: "remove", Path: "/" + name + "/" + pointer(k)})
			continue
		}
		ops = append(ops, patchOp{"add", "/" + name + "/" + pointer(k), m[k]})
	}
	return ops
}

func same(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// destroy deletes each object named and reports those that would not go.
func (g *group) destroy(ctx context.Context, args []string) error {
	var last error
	failed := 0
	for _, ref := range args {
		if err := g.destroyOne(ctx, ref); err != nil {
			last = about(err, "destroy %s %s", one(g.name), ref)
			if failed++; len(args) > 1 {
				g.note("error: %v", last)
			}
		}
	}
	if failed > 0 && len(args) > 1 {
		return failf(exitSomeFailed, "%d of %d %s not destroyed", failed, len(args), g.name)
	}
	return last
}

func (g *group) destroyOne(ctx context.Context, ref string) error {
	if g.flags.dryRun {
		o, err := g.fetch(ctx, g.kind, ref, nil)
		if err != nil {
			return err
		}
		does := fmt.Sprintf("destroy %s %s (%s)", one(g.name), nameOf(o), keyOf(g.kind, o))
		g.note("would %s", does)
		return g.planned(ctx, planStep{Does: does, Method: http.MethodDelete, Path: at(g.name, keyOf(g.kind, o))})
	}
	key, err := g.keyFor(ctx, g.kind, ref)
	if err != nil {
		return err
	}
	if err := g.conn().call(ctx, http.MethodDelete, at(g.name, key), g.forced(), nil, nil); err != nil {
		return err
	}
	return g.line("Deleted %s %s", one(g.name), ref)
}
