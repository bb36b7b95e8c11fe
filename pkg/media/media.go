// Package media unpacks the ISO images that boot environments boot from, so
// that their kernels and packages are in the static tree.
//
// What shall be there is an object for each directory (api.Medium): the rule
// wants it, the action unpacks or removes, and a boot environment is available
// only once its media are unpacked. After a crash an unpacking begins anew.
package media

import (
	"fmt"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
)

// Root is the folder of blobs that holds the contents of media.
const Root = "media/"

// Rule wants the media of every boot environment whose images are uploaded.
func Rule() engine.Rule {
	return engine.Rule{Name: "media", Kind: api.BootEnvs, Step: Step, Wake: map[string]engine.Wake{
		"files": func(r resource.Reader, e resource.Event) []string {
			iso, ok := strings.CutPrefix(e.Key, "isos/")
			if !ok {
				return nil
			}
			return users(r, func(env *api.BootEnv, arch string) bool { return env.IsoFor(arch) == iso })
		},
		"media": func(r resource.Reader, e resource.Event) []string {
			return users(r, func(env *api.BootEnv, arch string) bool { return env.MediaDir(arch) == e.Key })
		},
	}}
}

// users are the environments of which one medium fits.
func users(r resource.Reader, fits func(env *api.BootEnv, arch string) bool) []string {
	var out []string
	for env := range api.BootEnvs.All(r) {
		for _, arch := range env.MediaArches() {
			if fits(env, arch) {
				out = append(out, env.Name)
				break
			}
		}
	}
	return out
}

// Step is the step of Rule.
func Step(tx *resource.Tx, _ time.Time, name string) (engine.Result, error) {
	env, err := api.BootEnvs.Get(tx, name)
	if err != nil {
		return engine.Result{}, nil // gone
	}
	var why []string
	for _, arch := range env.MediaArches() {
		says, err := want(tx, env, arch)
		if err != nil {
			return engine.Result{}, err
		}
		if says != "" {
			why = append(why, says)
		}
	}
	return engine.Result{Waiting: strings.Join(why, "; ")}, nil
}

// want sees to one medium and says what it waits for.
func want(tx *resource.Tx, env *api.BootEnv, arch string) (string, error) {
	dir, iso := env.MediaDir(arch), env.IsoFor(arch)
	file, err := api.Files.Get(tx, "isos/"+iso)
	if err != nil {
		return fmt.Sprintf("image isos/%s is not uploaded", iso), nil
	}
	is, err := api.Media.Get(tx, dir)
	switch {
	case err != nil:
	case is.Iso == iso && is.SHA256 == file.SHA256:
		if is.Due() {
			return fmt.Sprintf("image %s is %s in %s", iso, is.State, dir), nil
		}
		return is.Problem, nil
	case is.Iso != iso && taken(tx, is):
		return fmt.Sprintf("directory %s holds the contents of %s for another boot environment", dir, is.Iso), nil
	}
	m := &api.Medium{Dir: dir, Iso: iso, SHA256: file.SHA256, State: api.MediumWanted}
	return fmt.Sprintf("image %s is to be unpacked in %s", iso, dir), api.Media.Put(tx, m)
}

// taken says whether some environment still boots from a medium as it is.
func taken(r resource.Reader, m *api.Medium) bool {
	return len(users(r, func(env *api.BootEnv, arch string) bool {
		return env.MediaDir(arch) == m.Dir && env.IsoFor(arch) == m.Iso
	})) > 0
}

// Purge wants the media of an environment removed, of all architectures or
// some, or with again: removed and unpacked anew.
func Purge(tx *resource.Tx, env *api.BootEnv, arches []string, again bool) error {
	has := env.MediaArches()
	if len(arches) == 0 {
		arches = has
	}
	state := api.MediumPurging
	if again {
		state = api.MediumWanted
	}
	for _, arch := range arches {
		err := api.Media.Modify(tx, env.MediaDir(arch), func(m *api.Medium) error {
			if m.Iso != env.IsoFor(arch) {
				return resource.Errorf(resource.Refused, "media", m.Dir, "holds the contents of %s, not of this boot environment", m.Iso)
			}
			m.State, m.Problem = state, ""
			return nil
		})
		if err != nil {
			return fmt.Errorf("purge medium of %s for %s: %w", env.Name, arch, err)
		}
	}
	return nil
}
