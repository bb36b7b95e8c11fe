package openapi

import "strings"

const exampleID = "4b3a4c0e-2f6b-4d0e-9a53-0c8f0f6f3b1d"

// examples of bodies that create an object, by type. A test creates them.
var examples = map[string]any{
	"Machine": map[string]any{"Name": "node1.example.com", "HardwareAddrs": []string{"52:54:00:12:34:56"}, "Params": map[string]any{"rack": "r7"}},
	"Profile": map[string]any{"Name": "rack-r7", "Description": "What is the same in rack 7", "Params": map[string]any{"rack": "r7"}},
	"Param":   map[string]any{"Name": "rack", "Schema": map[string]any{"type": "string"}},
	"Pool":    map[string]any{"Id": "compute", "Description": "Machines for computing"},
	"Subnet": map[string]any{"Name": "lab", "Enabled": true, "Subnet": "192.168.124.1/24", "ActiveStart": "192.168.124.50", "ActiveEnd": "192.168.124.200",
		"ActiveLeaseTime": 60, "ReservedLeaseTime": 7200},
	"Reservation": map[string]any{"Addr": "192.168.125.10", "Token": "52:54:00:12:34:56", "Strategy": "MAC"},
	"Task":        map[string]any{"Name": "hello", "Templates": []map[string]string{{"Name": "hello", "Contents": "echo hello from {{.Machine.Name}}\n"}}},
	"Stage":       map[string]any{"Name": "greet", "Tasks": []string{"hello"}},
	"Workflow":    map[string]any{"Name": "greeting", "Stages": []string{"greet"}},
	"Blueprint":   map[string]any{"Name": "greet", "Tasks": []string{"hello"}},
	"WorkOrder":   map[string]any{"Blueprint": "greet", "Filter": "Name=node1.example.com"},
	"User":        map[string]any{"Name": "alice", "Roles": []string{"superuser"}},
	"Role":        map[string]any{"Name": "reader", "Claims": []map[string]string{{"scope": "*", "action": "list,get", "specific": "*"}}},
}

var patchExample = []map[string]any{{"op": "test", "path": "/Description", "value": ""}, {"op": "replace", "path": "/Description", "value": "second shelf"}}

// goName is the type that a reference is about.
func goName(s *Schema) string { return s.Ref[strings.LastIndex(s.Ref, "/")+1:] }

// patchBody is a JSON patch, which clients send as application/json.
func patchBody() *Schema { return &Schema{Ref: "#/components/schemas/Patch"} }

func patchSchema() *Schema {
	ops := []any{"add", "remove", "replace", "move", "copy", "test"}
	return &Schema{Type: "array", Description: "A JSON patch (RFC 6902) of at most 1000 operations: all are done or none.", Items: &Schema{Type: "object",
		Required: []string{"op", "path"}, Properties: map[string]*Schema{
			"op":    {Type: "string", Enum: ops},
			"path":  {Type: "string", Description: "JSON pointer (RFC 6901)"},
			"from":  {Type: "string", Description: "JSON pointer, of move and copy"},
			"value": {Description: "of add, replace and test"},
		}}}
}
