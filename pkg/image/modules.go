package image

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// moduleIndex is what depmod wrote about one kernel's modules. Names use
// underscores, as the kernel does.
type moduleIndex struct {
	path    map[string]string   // name to file, relative to the modules directory
	deps    map[string][]string // name to the names that must be loaded before
	pre     map[string][]string // name to names or aliases better loaded before
	alias   map[string][]string // exact alias to names; wildcards are left out
	builtin map[string]bool     // names compiled into the kernel
}

// readModuleIndex reads modules.dep, modules.softdep, modules.alias and
// modules.builtin. Only modules.dep must exist.
func readModuleIndex(dir string) (*moduleIndex, error) {
	x := &moduleIndex{
		path: map[string]string{}, deps: map[string][]string{}, pre: map[string][]string{},
		alias: map[string][]string{}, builtin: map[string]bool{},
	}
	if _, err := os.Stat(filepath.Join(dir, "modules.dep")); err != nil {
		return nil, fmt.Errorf("read kernel modules: %w; create it with depmod", err)
	}
	for name, line := range map[string]func(string){
		"modules.dep":     x.addDep,
		"modules.softdep": x.addSoftdep,
		"modules.alias":   x.addAlias,
		"modules.builtin": func(s string) { x.builtin[moduleName(s)] = true },
	} {
		if err := eachLine(filepath.Join(dir, name), line); err != nil {
			return nil, fmt.Errorf("read kernel modules: %w", err)
		}
	}
	return x, nil
}

// eachLine calls fn for each line that is neither empty nor a comment. A file
// that does not exist has no lines.
func eachLine(file string, fn func(string)) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		if line := strings.TrimSpace(scan.Text()); line != "" && line[0] != '#' {
			fn(line)
		}
	}
	return scan.Err()
}

// addDep takes "kernel/a.ko: kernel/b.ko kernel/c.ko".
func (x *moduleIndex) addDep(line string) {
	file, rest, _ := strings.Cut(line, ":")
	name := moduleName(file)
	x.path[name] = file
	for _, dep := range strings.Fields(rest) {
		x.deps[name] = append(x.deps[name], moduleName(dep))
	}
}

// addSoftdep takes "softdep NAME pre: A B post: C" and keeps A and B. What
// should come after a module is not needed to make it work.
func (x *moduleIndex) addSoftdep(line string) {
	words := strings.Fields(line)
	if len(words) < 3 || words[0] != "softdep" {
		return
	}
	name, pre := underscored(words[1]), false
	for _, w := range words[2:] {
		switch {
		case strings.HasSuffix(w, ":"):
			pre = w == "pre:"
		case pre:
			x.pre[name] = append(x.pre[name], underscored(w))
		}
	}
}

// addAlias takes "alias PATTERN NAME".
func (x *moduleIndex) addAlias(line string) {
	words := strings.Fields(line)
	if len(words) != 3 || words[0] != "alias" || strings.ContainsAny(words[1], "*?[") {
		return
	}
	from := underscored(words[1])
	x.alias[from] = append(x.alias[from], underscored(words[2]))
}

// Order returns the files to load, in order, so that every module comes after
// all it depends on. Modules built into the kernel are left out. A wanted
// module that is neither there nor built in is an error; a soft dependency is not.
func (x *moduleIndex) Order(want []string) ([]string, error) {
	o := moduleOrder{index: x, done: map[string]bool{}}
	for _, name := range want {
		if err := o.add(underscored(name)); err != nil {
			return nil, err
		}
	}
	return o.files, nil
}

// moduleOrder is one depth-first walk over the index.
type moduleOrder struct {
	index *moduleIndex
	done  map[string]bool
	files []string
}

func (o *moduleOrder) add(name string) error {
	if o.done[name] || o.index.builtin[name] {
		return nil
	}
	// Marked before its dependencies: soft dependencies may form a circle.
	o.done[name] = true
	file, ok := o.index.path[name]
	if !ok {
		return fmt.Errorf("order kernel modules: %s is neither a module of this kernel nor built in", name)
	}
	for _, soft := range o.index.pre[name] {
		for _, m := range o.index.resolve(soft) {
			if err := o.add(m); err != nil {
				return err
			}
		}
	}
	for _, dep := range o.index.deps[name] {
		if err := o.add(dep); err != nil {
			return fmt.Errorf("%w (needed by %s)", err, name)
		}
	}
	o.files = append(o.files, file)
	return nil
}

// resolve turns a name or alias into the modules that exist for it.
func (x *moduleIndex) resolve(name string) []string {
	if _, ok := x.path[name]; ok {
		return []string{name}
	}
	return slices.DeleteFunc(slices.Clone(x.alias[name]), func(m string) bool {
		_, ok := x.path[m]
		return !ok
	})
}

// moduleName turns kernel/fs/a-b.ko.xz into a_b.
func moduleName(file string) string {
	base, _, _ := strings.Cut(filepath.Base(file), ".ko")
	return underscored(base)
}

func underscored(s string) string { return strings.ReplaceAll(s, "-", "_") }
