package bundle

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"drpd/pkg/api"
)

// ToDir writes a pack below a folder, as DRP lays it out, with objects in
// format yaml or json. FromDir reads the same pack again. A key with dots in it
// cannot lead out of the folder, which is made if it is not there.
func ToDir(dir string, pack *api.ContentPack, format string) error {
	files, err := Files(pack, format)
	if err != nil {
		return err
	}
	failed := func(err error) error { return fmt.Errorf("write content pack %s: %w", pack.Meta.Name, err) }
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return failed(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return failed(err)
	}
	defer root.Close()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return failed(err)
		}
		if err := root.WriteFile(name, files[name], 0o644); err != nil {
			return failed(err)
		}
	}
	return nil
}

// Files is the folder form of a pack: contents by slash-separated name. A slash
// in a key becomes a dot in the file's name, and the object's own field says
// the key.
func Files(pack *api.ContentPack, format string) (map[string][]byte, error) {
	encode, ext := yaml.Marshal, ".yaml"
	switch format {
	case "yaml", "yml":
	case "json":
		encode, ext = func(v any) ([]byte, error) { return json.MarshalIndent(v, "", "  ") }, ".json"
	default:
		return nil, fmt.Errorf("write content pack %s: format %q is not known; use yaml or json", pack.Meta.Name, format)
	}
	out := map[string][]byte{}
	meta := pack.Meta
	for name, field := range metaFields(&meta) {
		if field.String() != "" {
			out["._"+name+".meta"] = []byte(field.String())
		}
	}
	for _, section := range slices.Sorted(maps.Keys(pack.Sections)) {
		if section == "" || fileName(section) != section {
			return nil, fmt.Errorf("write content pack %s: section %q is no name for a folder", pack.Meta.Name, section)
		}
		for _, key := range slices.Sorted(maps.Keys(pack.Sections[section])) {
			if err := put(out, section, key, pack.Sections[section][key], encode, ext); err != nil {
				return nil, fmt.Errorf("write content pack %s: %s/%s: %w", pack.Meta.Name, section, key, err)
			}
		}
	}
	return out, nil
}

func put(out map[string][]byte, section, key string, obj any, encode func(any) ([]byte, error), ext string) error {
	fields, ok := obj.(map[string]any)
	if !ok {
		return fmt.Errorf("is not an object with fields")
	}
	if text, ok := rawTemplate(section, key, fields); ok {
		if name := section + "/" + key; out[name] == nil {
			out[name] = []byte(text)
			return nil
		}
	}
	name := fileName(key)
	for free := name; ; free = name + "-" + fmt.Sprint(len(out)) {
		if out[section+"/"+free+ext] == nil {
			name = free
			break
		}
	}
	field := keyFieldOf(section)
	if own, _ := fields[field].(string); own != key && (name != key || section == api.Templates.Name || own != "") {
		if own != "" {
			return fmt.Errorf("field %s is %q: make it equal to the key", field, own)
		}
		fields = maps.Clone(fields)
		fields[field] = key
	}
	data, err := encode(fields)
	if err != nil {
		return err
	}
	out[section+"/"+name+ext] = data
	return nil
}

// rawTemplate says whether a template can be a file with its text alone: it
// holds nothing else, and the file's name gives its ID back.
func rawTemplate(section, key string, fields map[string]any) (string, bool) {
	text, ok := fields["Contents"].(string)
	ext := path.Ext(key)
	if section != api.Templates.Name || !ok || len(fields) != 2 || fields["ID"] != key ||
		fileName(key) != key || ext == ".yaml" || ext == ".yml" || ext == ".json" {
		return "", false
	}
	return text, true
}

// fileName makes a key a name for a file in one folder.
func fileName(key string) string {
	name := strings.Map(func(c rune) rune {
		if c == '/' || c == '\\' || c < ' ' || c == 0x7f || c == ':' || c == 0xfffd {
			return '.'
		}
		return c
	}, key)
	if trimmed := strings.TrimLeft(name, "."); trimmed != name || name == "" {
		name = "_" + trimmed // hidden files are not read
	}
	return name[:min(len(name), 200)]
}
