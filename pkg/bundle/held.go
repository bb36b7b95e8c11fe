package bundle

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// held lists what a layer holds now.
func held(tx *resource.Tx, kinds []resource.Any, layer string) map[id]bool {
	out := map[id]bool{}
	for _, name := range sections() {
		k := byName(kinds, name)
		if k == nil {
			continue
		}
		for o := range k.Each(tx) {
			if c := k.CommonOf(o.Val); c != nil && c.Bundle == layer {
				out[id{name, o.Key}] = true
			}
		}
	}
	return out
}

// maxNamed bounds how many users of an object an error names.
const maxNamed = 5

// unused refuses to let go of objects that machines, clusters or brokers refer
// to; the indexes of machines say who does.
func unused(tx *resource.Tx, layer string, gone map[id]bool) error {
	var msgs []string
	for _, o := range slices.SortedFunc(maps.Keys(gone), id.compare) {
		if users := usersOf(tx, o); len(users) > 0 {
			msgs = append(msgs, fmt.Sprintf("%s/%s is still in use by %s", o.kind, o.key, strings.Join(users, ", ")))
		}
	}
	return conflict(resource.Conflict, layer, msgs)
}

func usersOf(tx *resource.Tx, o id) []string {
	index, ok := map[string]string{
		api.Workflows.Name: api.ByWorkflow, api.Stages.Name: api.ByStage,
		api.BootEnvs.Name: api.ByBootEnv, api.Profiles.Name: api.ByProfile,
	}[o.kind]
	if !ok {
		return nil
	}
	var out []string
	for _, k := range api.MachineLike() {
		for m := range k.By(tx, index, o.key) {
			if len(out) == maxNamed {
				return append(out, "others")
			}
			out = append(out, k.Name+"/"+m.Name)
		}
	}
	return out
}
