package guard

import (
	"encoding/json"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// document is what of an agent's operation matters here, read as the agent does.
type document struct {
	Op        string   `json:"op"`
	Disk      *disk    `json:"disk"`
	Disks     []disk   `json:"disks"`
	Protected []string `json:"protected"`
}

// disk is a disk in a document and in an inventory.
type disk struct{ Serial, WWN string }

// Actions asks once more when an agent fetches what a job shall do, and tells it
// of every protected disk, so that it refuses by the same facts. Scripts pass:
// what they do nobody can see.
func Actions(r resource.Reader, m *api.Machine, list []api.JobAction) ([]api.JobAction, error) {
	out := slices.Clone(list)
	for i := range out {
		a := &out[i]
		if a.Path != "" || a.Meta["Interpreter"] != interpreter || strings.TrimSpace(a.Content) == "" {
			continue
		}
		var d document
		if err := yaml.Unmarshal([]byte(a.Content), &d); err != nil {
			return nil, resource.Errorf(resource.Invalid, "machines", m.Uuid, "%s: the operation cannot be read: %v", a.Name, err)
		}
		if harmless(d.Op) {
			continue
		}
		if err := Destroy(r, m, effect(d.Op)); err != nil {
			return nil, err
		}
		var err error
		if a.Content, err = spare(r, m, d, a.Content); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// spare refuses a document that names a protected disk, and puts the list of
// them all into it.
func spare(r resource.Reader, m *api.Machine, d document, text string) (string, error) {
	protected := Protected(r, m)
	if d.Disk != nil {
		d.Disks = append(d.Disks, *d.Disk)
	}
	for _, t := range d.Disks {
		if err := Disk(r, m, t.Serial, t.WWN, effect(d.Op)); err != nil {
			return "", err
		}
	}
	missing := slices.DeleteFunc(protected, func(p string) bool { return slices.Contains(d.Protected, p) })
	if len(missing) == 0 {
		return text, nil
	}
	plain, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return "", err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(plain, &fields); err != nil {
		return "", err
	}
	for name := range fields { // in whatever case, as decoding has it
		if strings.EqualFold(name, "protected") {
			delete(fields, name)
		}
	}
	if fields["protected"], err = json.Marshal(append(d.Protected, missing...)); err != nil {
		return "", err
	}
	out, err := json.Marshal(fields) // which is YAML
	return string(out), err
}
