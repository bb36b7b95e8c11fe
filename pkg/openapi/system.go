package openapi

import (
	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// errorReply is the body of every error.
var errorReply = rest.ErrorReply{}

// accessRoutes are about users, tokens and what was done with them.
func accessRoutes() []route {
	narrow := []Parameter{ttl(), ask("roles", "Only these of the user's roles, divided by commas.", text()),
		ask("scope", "Only this claim: kind.", text()), ask("action", "Only this claim: action.", text()), ask("specific", "Only this claim: object.", text())}
	return []route{
		{method: "GET", path: "/users/{id}/token", summary: "Get a token", query: narrow, reply: rest.TokenReply{}},
		{method: "PUT", path: "/users/{id}/password", summary: "Set a password", body: struct{ Password string }{}, reply: api.User{}},
		{method: "POST", path: "/users/{id}/revoke", summary: "Make all tokens of the user invalid", ours: true, status: 204},
		{method: "GET", path: "/audit", summary: "List who did what, newest first", ours: true, reply: []auth.Record{}, query: []Parameter{
			ask("limit", "At most so many, 1000 if not given.", number()), ask("actor", "Only of this actor.", text()), ask("path", "Only paths that begin so.", text())}},
		{method: "POST", path: "/webhooks/{id}", summary: "Call the trigger of that name", ours: true, open: true, status: 201,
			about: "The caller proves that it knows the trigger's key: as X-Webhook-Key, X-Gitlab-Token, ?key=, or by the signature X-Hub-Signature-256. " +
				"A delivery with the same X-GitHub-Delivery, X-Gitlab-Event-UUID or Idempotency-Key fires once.",
			query: []Parameter{ask("key", "The trigger's key.", text())}, body: anything(), optional: true,
			reply: struct {
				Trigger    string
				WorkOrders []string
			}{}},
	}
}

// eventRoutes are for following what happens.
func eventRoutes() []route {
	return []route{
		{method: "POST", path: "/events", summary: "Publish an event", body: resource.Event{}, status: 204,
			about:  "Its Type may be anything but a kind of object.",
			sample: map[string]any{"Type": "rack", "Action": "power", "Key": "r7", "Object": map[string]any{"feed": "B"}}},
		{method: "GET", path: "/events/stream", summary: "Follow events as text/event-stream", ours: true, reply: events,
			about: "Each event has a number as its id; give the last one as after or Last-Event-ID to go on from there. An event named lagged says that some were lost.",
			query: []Parameter{needed(ask("register", "type.action.key, each may be *; may be given several times.", listOf(text()))),
				ask("after", "The number of the last event seen.", text()),
				{Name: "Last-Event-ID", In: "header", Description: "The same.", Schema: text()}}},
		{method: "GET", path: "/ws", group: "events", summary: "Follow events over a websocket", status: 101, says: "The connection becomes a websocket.",
			about: "Send register <type.action.key> or deregister <pattern> as text; events come as JSON.", also: map[string]string{"426": "This is a websocket only."}},
	}
}

// systemRoutes are about the server itself.
func systemRoutes() []route {
	infos := map[string]resource.IndexInfo{}
	prefs := map[string]string{}
	out := []route{
		{method: "GET", path: "/info", summary: "Describe the server", reply: rest.Info{}},
		{method: "GET", path: "/logs", summary: "Read the newest lines of the server's log", reply: []rest.LogLine{}},
		{method: "GET", path: "/objects", summary: "List the kinds", reply: []string{}},
		{method: "GET", path: "/indexes", summary: "List all indexes", reply: map[string]map[string]resource.IndexInfo{}},
		{method: "GET", path: "/indexes/{prefix}", summary: "List the indexes of a kind", reply: infos},
		{method: "GET", path: "/indexes/{prefix}/{name}", summary: "Describe an index, or a param as a filter", reply: resource.IndexInfo{}},
		{method: "GET", path: "/prefs", summary: "Read the preferences", reply: prefs},
		{method: "POST", path: "/prefs", summary: "Set preferences", body: prefs, status: 201, reply: prefs, says: "All of them.", sample: map[string]string{"defaultStage": "discover"}},
		{method: "GET", path: "/openapi.json", group: "info", summary: "Read this document", ours: true, open: true, reply: object()},
		{method: "HEAD", path: "/openapi.json", group: "info", summary: "Ask for the ETag of this document", ours: true, open: true, headers: tagged()},
	}
	out = append(out, actionRoutes("/system/actions", "system")...)
	for name, reply := range map[string]any{"id": "", "leader": "", "active": "", "state": rest.HAState{}, "peers": []rest.NodeInfo{}, "fullstate": map[string]rest.HAState{}} {
		out = append(out, route{method: "GET", path: "/system/consensus/" + name, summary: "Tell " + name + " of the replicas; drpd is its only one", reply: reply})
	}
	const alone = "Refused: drpd has no replicas"
	for path, method := range map[string]string{"/system/consensus/failOverSafe": "POST", "/system/consensus/introduction": "GET",
		"/system/consensus/enroll": "POST", "/system/consensus/node/{node}": "DELETE", "/system/passive": "POST"} {
		out = append(out, route{method: method, path: path, summary: alone, status: 409, reply: errorReply, says: "Always."})
	}
	return append(out, route{method: "POST", path: "/system/active", summary: "Stay active, which drpd is anyway", reply: rest.Info{}})
}
