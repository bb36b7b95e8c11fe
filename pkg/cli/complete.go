package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drpd/pkg/atomicfile"
)

// A shell waits for completion, so it may take completeLimit at most; what was
// learned serves for completeFor.
const (
	completeLimit = 150 * time.Millisecond
	completeFor   = 5 * time.Second
	completeMost  = 500
)

type completer = func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective)

// complete offers what the use line says: its words, the names of objects, or
// the fields for filters. Without a server or a login it is silent.
func (g *group) complete(use syntax) completer {
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		t, ok := use.at(args)
		switch {
		case !ok:
			return nil, cobra.ShellCompDirectiveNoFileComp
		case t.word:
			return []string{t.name}, cobra.ShellCompDirectiveNoFileComp
		case t.name == "on|off":
			return []string{"on", "off"}, cobra.ShellCompDirectiveNoFileComp
		case t.name == "Field=value" || t.name == "condition":
			return g.completeField(c.Context(), typed), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
		}
		kind := map[string]string{"id": g.name, "profile": "profiles", "workflow": "workflows", "stage": "stages", "bootenv": "bootenvs",
			"task": "tasks", "param": "params", "pool": "pools", "blueprint": "blueprints"}[t.name]
		if kind == "" {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return g.names(c.Context(), kind), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeField offers the indexes as Field=, and after the = the values that
// objects have there.
func (g *group) completeField(ctx context.Context, typed string) []string {
	var out []string
	if field, _, ok := strings.Cut(typed, "="); ok {
		kind := map[string]string{"Workflow": "workflows", "Stage": "stages", "BootEnv": "bootenvs", "Pool": "pools", "Profiles": "profiles",
			"Machine": "machines", "Blueprint": "blueprints", "Name": g.name}[field]
		if kind == "" {
			return []string{field + "=true", field + "=false"}
		}
		for _, n := range g.names(ctx, kind) {
			out = append(out, field+"="+n)
		}
		return out
	}
	for _, i := range g.kind.IndexNames() {
		out = append(out, i+"=")
	}
	return append(out, "Available=", "sort=", "limit=")
}

// names are those of a kind's objects, from the server or from 5 s ago.
func (s *session) names(ctx context.Context, kind string) []string {
	path := s.completionCache(kind)
	if out, ok := s.cachedNames(path); ok {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, completeLimit)
	defer cancel()
	var list []doc
	if s.conn().get(ctx, at(kind), listQuery("slim", "Params,Meta", "limit", "500"), &list) != nil {
		return nil
	}
	var out []string
	for _, o := range list {
		if n := nameOf(o); !slices.Contains(out, n) && len(out) < completeMost {
			out = append(out, n)
		}
	}
	if data, err := json.Marshal(out); err == nil && path != "" && os.MkdirAll(filepath.Dir(path), 0o700) == nil {
		_ = atomicfile.Write(path, data, 0o600) // a cache that cannot be written is none
	}
	return out
}

func (s *session) completionCache(kind string) string {
	t, err := s.target()
	if err != nil {
		return ""
	}
	path, err := s.tokenPath(t)
	if err != nil {
		return ""
	}
	return filepath.Join(filepath.Dir(filepath.Dir(path)), "names", filepath.Base(path)+"-"+kind)
}

func (s *session) cachedNames(path string) ([]string, bool) {
	st, err := os.Stat(path)
	if err != nil || s.cfg.Now().Sub(st.ModTime()) > completeFor {
		return nil, false
	}
	data, err := os.ReadFile(path)
	var out []string
	return out, err == nil && json.Unmarshal(data, &out) == nil
}
