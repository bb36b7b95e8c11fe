package guard

import (
	"encoding/json"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"drpd/pkg/api"
	"drpd/pkg/blank"
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
type disk struct{ Serial, WWN, Path string }

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

// foreign refuses an effect on a disk that holds what is nobody's, also if it is
// one that a wipe leaves alone unless it is named.
func foreign(r resource.Reader, m *api.Machine, t disk, what Effect) error {
	s, err := api.DiskSurveys.Get(r, m.Uuid)
	if err != nil {
		return nil
	}
	for _, d := range s.Disks {
		meant := Same(d.Serial, t.Serial) || Same(d.WWN, t.WWN) || Same(d.Serial, t.WWN) || Same(d.WWN, t.Serial) ||
			t.Serial == "" && t.WWN == "" && d.Path == t.Path
		if why := blank.Refuse(r, m, d); meant && why != "" {
			return resource.Errorf(resource.Refused, "machines", m.Uuid, "%s is not %s: %s", m.Name, what, why)
		}
	}
	return nil
}

// spare refuses a document that names a protected disk, or one with what is
// nobody's, and puts the list of all protected ones into it.
func spare(r resource.Reader, m *api.Machine, d document, text string) (string, error) {
	protected := Protected(r, m)
	if d.Disk != nil {
		d.Disks = append(d.Disks, *d.Disk)
	}
	for _, t := range d.Disks {
		if err := Disk(r, m, t.Serial, t.WWN, effect(d.Op)); err != nil {
			return "", err
		}
		if err := foreign(r, m, t, effect(d.Op)); err != nil {
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
