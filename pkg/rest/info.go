package rest

import "drpd/pkg/resource"

// Info is GET /info: what drpcli and the content ask a server about itself.
// The names of its fields are DRP's.
type Info struct {
	Arch              string                         `json:"arch"`
	OS                string                         `json:"os"`
	Version           string                         `json:"version"`
	ID                string                         `json:"id"`
	LocalID           string                         `json:"local_id"`
	HAID              string                         `json:"ha_id"`
	APIPort           int                            `json:"api_port"`
	FilePort          int                            `json:"file_port"`
	SecureFilePort    int                            `json:"secure_file_port"`
	DHCPPort          int                            `json:"dhcp_port"`
	BINLPort          int                            `json:"binl_port"`
	TFTPPort          int                            `json:"tftp_port"`
	TFTPEnabled       bool                           `json:"tftp_enabled"`
	DHCPEnabled       bool                           `json:"dhcp_enabled"`
	BINLEnabled       bool                           `json:"binl_enabled"`
	ProvEnabled       bool                           `json:"prov_enabled"`
	SecureProvEnabled bool                           `json:"secure_prov_enabled"`
	Address           string                         `json:"address"`
	ServerHostname    string                         `json:"server_hostname"`
	Manager           bool                           `json:"manager"`
	Stats             []Stat                         `json:"stats"`
	Features          []string                       `json:"features"`
	Scopes            map[string]map[string]struct{} `json:"scopes"`
	License           License
	Errors            []string `json:"errors"`
	HAEnabled         bool     `json:"ha_enabled"`
	HAVirtualAddress  string   `json:"ha_virtual_address"`
	HAIsActive        bool     `json:"ha_is_active"`
	HAStatus          string   `json:"ha_status"`
	HAActiveID        string   `json:"ha_active_id"`
	HAPassiveState    []any    `json:"ha_passive_state"`
	ClusterState      ClusterState
	CAFingerprint     string   `json:"ca_fingerprint"` // ours: SHA-256 of the certificate authority, in hex
	Started           string   `json:"started"`        // ours: RFC 3339
	APIEndpoints      []string `json:"api_endpoints"`  // ours: where else the API answers
	Instance          string   `json:"instance"`       // ours: another one after each start
	ServerID          string   `json:"server_id"`      // ours: that of the data directory
	Restored          string   `json:"restored"`       // ours: what a server that was restored and is not active says; else ""
}

// Stat is one count.
type Stat struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// License is DRP's license bundle; drpd needs none, so it is empty.
type License struct {
	Contact, ContactEmail, ContactId string
	Owner, OwnerEmail, OwnerId       string
	Grantor, GrantorEmail            string
	Version, GenerationVersion       string
	MaxDrpVersion                    string
	Licenses                         []any
}

// GlobalHA is DRP's state of high availability that all replicas share.
type GlobalHA struct {
	LoadBalanced     bool
	Enabled          bool
	ConsensusEnabled bool
	ConsensusJoin    string
	VirtAddr         string
	ServerHostname   string
	ActiveUri        string
	Token            string
	HaID             string
	Valid            bool
	Roots            []any
}

// NodeHA is that of one server.
type NodeHA struct {
	ConsensusID         string
	VirtInterface       string
	VirtInterfaceScript string
	ConsensusAddr       string
	ApiUrl              string
	Passive             bool
	Observer            bool
}

// HAState is both, of the server that answers.
type HAState struct {
	GlobalHA
	NodeHA
}

// NodeInfo is one server among replicas.
type NodeInfo struct {
	NodeHA
	Offline                   bool
	LastArtifactCommitHandled uint64
}

// ClusterState is all servers.
type ClusterState struct {
	GlobalHA
	Nodes []NodeInfo
}

// Scopes lists which actions a role's claims can name, by kind.
func Scopes(kinds []resource.Any) map[string]map[string]struct{} {
	out := map[string]map[string]struct{}{}
	add := func(scope string, actions ...string) {
		if out[scope] == nil {
			out[scope] = map[string]struct{}{}
		}
		for _, a := range actions {
			out[scope][a] = struct{}{}
		}
	}
	for _, k := range kinds {
		add(k.KindName(), "list", "get", "create", "delete", "actions", "update", "action")
		if zero, err := k.Decode([]byte("{}")); err == nil && k.ParamsOf(zero) != nil {
			add(k.KindName(), "getSecure", "updateSecure")
		}
	}
	for _, machine := range []string{"machines", "clusters", "resource_brokers"} {
		add(machine, "updateTaskList", "token", "whoami")
	}
	add("users", "token", "password")
	add("jobs", "log")
	add("files", "list", "get", "post", "delete")
	add("isos", "list", "get", "post", "delete")
	add("info", "get")
	add("logs", "list")
	add("objects", "list")
	add("events", "post", "create")
	add("whoami", "create")
	add("system", "upgrade", "replicate", "active", "passive", "actions", "action")
	return out
}
