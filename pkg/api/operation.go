package api

import "drpd/pkg/resource"

// MetaNative is the key in a task's Meta that names the server's operation
// which carries the task out, instead of templates and an agent.
const MetaNative = "native"

// Operation is what the server itself does at an entry of a task list: the name
// behind "action:", or that of a native task; "" if an agent has to.
func Operation(r resource.Reader, entry string) string {
	switch verb, name := Entry(entry); verb {
	case "action":
		return name
	case "":
		if t, err := Tasks.Get(r, name); err == nil {
			return t.Meta[MetaNative]
		}
	}
	return ""
}
