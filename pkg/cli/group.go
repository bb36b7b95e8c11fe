package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// group is the commands of one kind. Extended sets kind and name only when it
// runs, from its -l flag.
type group struct {
	*session
	kind resource.Any
	name string
}

func one(kind string) string { return strings.ReplaceAll(strings.TrimSuffix(kind, "s"), "_", " ") }

// kinds are those with a group; prefs shows the preferences all at once.
func kinds() []resource.Any {
	return slices.DeleteFunc(slices.Clone(api.Kinds()), func(k resource.Any) bool { return k.KindName() == api.Preferences.Name })
}

// foreign is an object whose kind this drpcli does not know: it has what all
// have.
type foreign struct {
	resource.Common
	Id       string
	Name     string
	Params   resource.Params
	Profiles []string
}

// foreignKind lets the common verbs work on a kind that only the server knows.
func foreignKind(name string) resource.Any {
	return &resource.Kind[foreign]{Name: name, Key: func(o *foreign) string { return o.Id },
		Common:  func(o *foreign) *resource.Common { return &o.Common },
		Params:  func(o *foreign) *resource.Params { return &o.Params },
		Indexes: []resource.Index[foreign]{{Name: "Id"}}}
}

// shell is a group without its verbs: enough for help and for typing errors.
func (s *session) shell(k resource.Any) *cobra.Command {
	name := k.KindName()
	return &cobra.Command{Use: name, Aliases: aliases(name), Short: "List, change and follow " + strings.ReplaceAll(name, "_", " ") + ".",
		GroupID: "objects", Args: cobra.ArbitraryArgs, RunE: s.noVerb, Example: examples(name)}
}

// group builds every verb that the kind's declaration allows, then the extras.
func (s *session) group(root *cobra.Command, k resource.Any) {
	g := &group{s, k, k.KindName()}
	if g.name == "files" {
		root.AddCommand(s.blobVerbs("files")...)
		return
	}
	g.verbs(root)
	replace(root, g.extras())
}

func (g *group) verbs(root *cobra.Command) {
	root.AddCommand(g.readVerbs()...)
	root.AddCommand(g.awaitVerbs()...)
	root.AddCommand(g.writeVerbs()...)
	root.AddCommand(g.actionVerbs()...)
	zero, err := g.kind.Decode([]byte("{}"))
	if err != nil {
		return
	}
	if g.kind.CommonOf(zero) != nil {
		root.AddCommand(g.metaCmd())
	}
	if g.kind.ParamsOf(zero) != nil {
		root.AddCommand(g.paramVerbs()...)
	}
	if g.kind.ProfilesOf(zero) != nil || g.name == "profiles" || g.name == "stages" {
		root.AddCommand(g.profileVerbs()...)
	}
}

// replace adds commands; one of the same name gives way.
func replace(root *cobra.Command, with []*cobra.Command) {
	for _, c := range with {
		for _, old := range root.Commands() {
			if old.Name() == c.Name() {
				root.RemoveCommand(old)
			}
		}
	}
	root.AddCommand(with...)
}

func aliases(name string) []string {
	out := []string{strings.TrimSuffix(name, "s")}
	switch name {
	case "work_orders":
		out = append(out, "workorders", "workorder", "wo")
	case "resource_brokers":
		out = append(out, "brokers", "broker")
	case "batches":
		out = []string{"batch"}
	case "media":
		out = nil
	}
	return out
}

// extras are the verbs of one kind only.
func (g *group) extras() []*cobra.Command {
	switch g.name {
	case "machines", "resource_brokers":
		return g.runnerVerbs()
	case "clusters":
		c := &clusters{group: g}
		own := &cobra.Command{}
		own.AddCommand(g.runnerVerbs()...)
		replace(own, c.verbs())
		return own.Commands()
	case "jobs":
		return g.jobVerbs()
	case "work_orders":
		return []*cobra.Command{g.orderRunCmd(), g.orderCancelCmd()}
	case "contents":
		return g.packVerbs()
	case "users":
		return g.userVerbs()
	case "pools":
		return g.poolVerbs()
	case "subnets":
		return g.subnetVerbs()
	case "bootenvs":
		return g.bootEnvVerbs()
	case "stages":
		return g.stageVerbs()
	case "templates":
		return []*cobra.Command{g.templateUploadCmd()}
	case "plugin_providers":
		return g.providerVerbs()
	case "batches":
		return []*cobra.Command{g.postCmd("rerun <id>", "Run a batch again.", "rerun")}
	case "triggers":
		return []*cobra.Command{g.postCmd("fire <id>", "Fire a trigger now.", "fire")}
	}
	return nil
}

// cmd is a verb of the group, with completion.
func (g *group) cmd(use, short string, run func(ctx context.Context, args []string) error) *cobra.Command {
	c := g.verb(use, short, run)
	c.ValidArgsFunction = g.complete(parseUse(use))
	return c
}
