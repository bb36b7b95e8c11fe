package bundle

import (
	"drpd/pkg/api"
)

// FromPlugin reads the content that a plugin provider brings as YAML or JSON.
// The pack's name and version are the provider's, whatever it says itself.
func FromPlugin(data []byte, name, version string) (*api.ContentPack, error) {
	pack := &api.ContentPack{}
	if err := decodeStrict(data, pack); err != nil {
		return nil, malformed(name, "%v", err)
	}
	m := &pack.Meta
	m.Name, m.Version, m.Type = name, version, "plugin"
	for field, otherwise := range map[*string]string{&m.Description: "Content layer for " + name + " plugin provider", &m.Source: "FromPluginProvider"} {
		if *field == "" || *field == "Unspecified" {
			*field = otherwise
		}
	}
	_, _, err := objects(api.Kinds(), pack)
	return pack, err
}
