package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"strings"

	"drpd/pkg/api"
)

// FromDir reads a pack from a folder as DRP lays it out: a file ._<Field>.meta
// for each field of the meta data, or meta.yaml with all; and for each object a
// file <section>/<key>.yaml (or .yml, .json). A key with slashes is a path, or
// the object's own field says it. Other files in templates are raw text, their
// path is the ID. Hidden files and other files at the top are skipped.
func FromDir(dir fs.FS) (*api.ContentPack, error) { return FromDirWith(dir, nil) }

// FromDirWith is FromDir with fields of the meta data for those that the folder
// does not give; then the folder need not name the pack.
func FromDirWith(dir fs.FS, meta map[string]string) (*api.ContentPack, error) {
	r := reader{dir: dir, left: MaxSize}
	pack := &api.ContentPack{Sections: map[string]map[string]any{}}
	if err := r.meta(&pack.Meta, meta); err != nil {
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
	_, _, err = objects(api.Kinds(), pack)
	return pack, err
}

type reader struct {
	dir  fs.FS
	left int64 // bytes
}

// metaFields lists the text fields of the meta data.
func metaFields(m *api.PackMeta) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		if v.Field(i).Kind() == reflect.String {
			out[v.Type().Field(i).Name] = v.Field(i)
		}
	}
	return out
}

func (r *reader) meta(into *api.PackMeta, otherwise map[string]string) error {
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
		break
	}
	for name, field := range metaFields(into) {
		data, err := r.file("._" + name + ".meta")
		switch {
		case err == nil && name == "Documentation": // its spaces count
			field.SetString(string(data))
		case err == nil:
			field.SetString(strings.TrimSpace(string(data)))
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		if field.String() == "" {
			field.SetString(otherwise[name])
		}
	}
	if into.Name == "" {
		return fmt.Errorf("the content pack has no name: put it into ._Name.meta, or field Name of meta.yaml")
	}
	return nil
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
	ext := path.Ext(key)
	known := ext == ".yaml" || ext == ".yml" || ext == ".json"
	fields := map[string]any{}
	if section == api.Templates.Name {
		// A template's text may itself be YAML: an object says its ID.
		if !known || decodeStrict(data, &fields) != nil || !isTemplate(fields) {
			return key, map[string]any{"ID": key, "Contents": string(data)}, nil
		}
	} else if !known {
		return "", nil, fmt.Errorf("is neither .yaml, .yml nor .json")
	} else if err := decodeStrict(data, &fields); err != nil {
		return "", nil, err
	}
	key = strings.TrimSuffix(key, ext)
	if own, ok := fields[keyFieldOf(section)].(string); ok && own != "" {
		key = own
	}
	return key, fields, nil
}

// isTemplate tells a Template object from a text that happens to be YAML.
func isTemplate(fields map[string]any) bool {
	id, _ := fields["ID"].(string)
	_, ok := fields["Contents"].(string)
	return ok && id != ""
}

// keyFieldOf names the field with the key; sections that we do not know have
// Name, as most do.
func keyFieldOf(section string) string {
	if k := byName(api.Kinds(), section); k != nil {
		return keyField(k)
	}
	return "Name"
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
