package bundle

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"drpd/pkg/api"
)

// FromDir reads a pack from a folder: meta.yaml, and for each object a file
// <section>/<key>.yaml (or .yml, .json). A key with slashes is a path. Files
// in templates are the raw text, their path is the ID. An object file may name
// its key itself, if that makes no file name. Names that begin with a dot are
// skipped, and other files at the top too.
func FromDir(dir fs.FS) (*api.ContentPack, error) {
	r := reader{dir: dir, left: MaxSize}
	pack := &api.ContentPack{Sections: map[string]map[string]any{}}
	if err := r.meta(&pack.Meta); err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, fmt.Errorf("read content pack %s: %w", pack.Meta.Name, err)
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		section, err := r.section(e.Name())
		if err != nil {
			return nil, fmt.Errorf("read content pack %s: %w", pack.Meta.Name, err)
		}
		pack.Sections[e.Name()] = section
	}
	_, err = objects(api.Kinds(), pack)
	return pack, err
}

type reader struct {
	dir  fs.FS
	left int64 // bytes
}

func (r *reader) meta(into *api.PackMeta) error {
	for _, name := range []string{"meta.yaml", "meta.yml", "meta.json"} {
		if _, err := fs.Stat(r.dir, name); err != nil {
			continue
		}
		data, err := r.file(name)
		if err != nil {
			return err
		}
		if err := decodeStrict(data, into); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if into.Name == "" {
			return fmt.Errorf("%s: field Name is empty", name)
		}
		return nil
	}
	return fmt.Errorf("no meta.yaml: a content pack needs one with at least its Name")
}

func (r *reader) section(section string) (map[string]any, error) {
	out := map[string]any{}
	err := fs.WalkDir(r.dir, section, func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(e.Name(), ".") && e.IsDir():
			return fs.SkipDir
		case e.IsDir() || strings.HasPrefix(e.Name(), "."):
			return nil
		}
		key, obj, err := r.object(section, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, ok := out[key]; ok {
			return fmt.Errorf("%s: %s/%s is already in another file", name, section, key)
		}
		out[key] = obj
		return nil
	})
	return out, err
}

func (r *reader) object(section, name string) (key string, obj any, err error) {
	data, err := r.file(name)
	if err != nil {
		return "", nil, err
	}
	key = strings.TrimPrefix(name, section+"/")
	if section == api.Templates.Name {
		return key, map[string]any{"ID": key, "Contents": string(data)}, nil
	}
	ext := path.Ext(key)
	if ext != ".yaml" && ext != ".yml" && ext != ".json" {
		return "", nil, fmt.Errorf("is neither .yaml, .yml nor .json")
	}
	key = strings.TrimSuffix(key, ext)
	fields := map[string]any{}
	if err := decodeStrict(data, &fields); err != nil {
		return "", nil, err
	}
	if k := byName(api.Kinds(), section); k != nil {
		if own, ok := fields[k.IndexNames()[0]].(string); ok {
			key = own
		}
	}
	return key, fields, nil
}

func (r *reader) file(name string) ([]byte, error) {
	info, err := fs.Stat(r.dir, name)
	if err != nil {
		return nil, err
	}
	if r.left -= info.Size(); r.left < 0 {
		return nil, fmt.Errorf("the content pack has more than %d bytes", MaxSize)
	}
	return fs.ReadFile(r.dir, name)
}
