package openapi

import (
	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/pool"
	"drpd/pkg/rest"
	"drpd/pkg/restored"
)

// machineRoutes are those of what runs workflows, and of what runs on it.
func machineRoutes() []route {
	var out []route
	for _, k := range api.MachineLike() {
		at := "/" + k.Name + "/{id}"
		out = append(out,
			route{method: "GET", path: at + "/token", summary: "Get the token of an agent", query: []Parameter{ttl()}, reply: rest.TokenReply{}},
			route{method: "POST", path: at + "/revoke", summary: "Make all tokens of it invalid", ours: true, status: 204})
	}
	return append(out,
		route{method: "POST", path: "/machines/{id}/boot", summary: "Boot the machine again into its boot environment", ours: true, reply: api.Machine{}},
		route{method: "POST", path: "/machines/{id}/admit", summary: "Take the next who says to be the machine for it", ours: true,
			about:    "Once, whatever they can show. For is a duration, 15 minutes if it is not given.",
			optional: true, body: map[string]string{}, reply: map[string]any{}, sample: map[string]any{"For": "15m"}},
		route{method: "POST", path: "/join_tokens", group: "machines", summary: "Make a token by which one running system becomes a machine", ours: true, status: 201,
			about:    "Of Machine, or, without it, a new one or one that nobody uses. The reply has the command to run there.",
			optional: true, body: map[string]string{}, reply: map[string]any{}, sample: map[string]any{"For": "1h"}},
		route{method: "POST", path: "/machines/{id}/unprotect", summary: "Lift what objects said in param disk/protected that the machine has no more", ours: true,
			about: "Of the disks in the body, or of all. What an object still says that the machine has is lifted there.", optional: true, body: []string{}, reply: api.Machine{}},
		route{method: "POST", path: "/clusters/{id}/protect", summary: "Protect the cluster: its members' disks are kept, none is released, it is not destroyed", ours: true, reply: api.Machine{}},
		route{method: "POST", path: "/clusters/{id}/unprotect", summary: "Lift the protection of the cluster", ours: true,
			about: "Nothing else lifts it: no param, workflow, order, patch or force.", reply: api.Machine{}},
		route{method: "POST", path: "/machines/{id}/wipe", summary: "Wipe the disks of a machine that nobody has", ours: true, reply: api.Machine{}},
		route{method: "POST", path: "/machines/{id}/approveDisks", summary: "Let what discovery found on the disks be overwritten, though it is nobody's that we know of", ours: true, reply: api.Machine{}},
		route{method: "POST", path: "/machines/{id}/exemptDisk", summary: "Note that a disk need not be wiped in this release of the machine", ours: true,
			body: api.DiskExemption{}, reply: api.Machine{}, sample: map[string]any{"Disk": "S3Z1NB0K", "Reason": "dead, removed"}},
		route{method: "POST", path: "/work_orders/{id}/rerun", summary: "Make a new work order like this one", ours: true, status: 201, reply: api.WorkOrder{}},
		route{method: "POST", path: "/batches/{id}/rerun", summary: "Make a new batch like this one", ours: true, status: 201, reply: api.Batch{}},
		route{method: "POST", path: "/batches/{id}/cancel", summary: "Cancel a batch and its work orders", ours: true, reply: api.Batch{}},
		route{method: "POST", path: "/alerts/{id}/acknowledge", summary: "Note that somebody has seen the alert", reply: api.Alert{}},
		purge("GET"), purge("DELETE"),
		route{method: "GET", path: "/debug/{profile}", group: "debug", summary: "Read a profile of the server's process",
			query: []Parameter{ask("seconds", "How long to watch, 300 at most.", number())}, reply: octets},
		route{method: "POST", path: "/whoami", summary: "Find the machine with these MAC addresses or this fingerprint", about: "What an agent asks first of all.",
			body: rest.WhoAmIRequest{}, reply: rest.WhoAmIReply{}, sample: map[string]any{"MacAddrs": []string{"52:54:00:12:34:56"}, "Env": "discovery"}},
		route{method: "GET", path: "/why/{kind}/{id}", summary: "Explain what an object does and waits for", ours: true, reply: rest.WhyReply{}},
		route{method: "GET", path: "/engine/waits", group: "why", summary: "List the stored reasons why an object does not move", ours: true,
			query: []Parameter{needed(ask("object", "Kind and key, as machines/<uuid>.", text()))}, reply: []*engine.Wait{}},
	)
}

// purge is the same by two methods: clients of DRP differ.
func purge(method string) route {
	return route{method: method, path: "/bootenvs/{id}/purgeLocal", summary: "Remove what was unpacked from the environment's media",
		about: "With a body only for the architectures that it lists.", optional: true, body: []string{},
		query: []Parameter{ask("reexplodeIsos", "Unpack them again afterwards.", yes())}, reply: []api.Medium{}}
}

func ttl() Parameter {
	return ask("ttl", "How long the token shall be valid: seconds, or a duration such as 8h, 3d, 2w, 1y.", text())
}

func needed(p Parameter) Parameter { p.Required = true; return p }

// jobRoutes are what jobs have besides being read.
func jobRoutes() []route {
	size := map[string]Header{
		"X-DRP-LOG-SIZE": {Description: "Bytes of the log by now: the next from.", Schema: number()},
		"X-DRP-LOG-END":  {Description: "Whether the job has ended.", Schema: yes()},
	}
	read := []Parameter{
		ask("from", "The byte to begin at (an addition of drpd).", number()),
		ask("follow", "If there is nothing after that byte, wait for more or for the job's end, 30 seconds at most (an addition of drpd).", yes()),
	}
	reason := map[string]Header{"X-DRP-Reason": {Description: "Why there is no job, or why this one again.", Schema: text()}}
	return []route{
		{method: "POST", path: "/jobs", summary: "Ask for the next job of a machine", body: rest.JobRequest{}, reply: api.Job{}, status: 201, headers: reason,
			says: "A new job.", also: map[string]string{"202": "The job that goes on.", "204": "There is nothing to do now; the reason is in X-DRP-Reason."},
			sample: map[string]any{"Machine": exampleID}},
		{method: "DELETE", path: "/jobs", summary: "Delete ended jobs beyond the retention", query: []Parameter{
			ask("dryrun", "Only tell which.", yes()), ask("machine", "Only those of this machine; missing for those whose machine is gone.", text()),
			ask("jobsToKeep", "Instead of the preference.", text()), ask("failedJobsPurgedAfter", "Instead of the preference.", text()),
			ask("completeJobsPurgedAfter", "Instead of the preference.", text())},
			reply: struct {
				DryRun bool
				Jobs   []string
			}{}},
		{method: "GET", path: "/jobs/{id}/actions", summary: "Read the rendered scripts and files of a job", query: []Parameter{ask("os", "The system they run on.", text())}, reply: []api.JobAction{}},
		{method: "PUT", path: "/jobs/{id}/log", summary: "Append to the log of a job", body: octets, status: 204},
		{method: "GET", path: "/jobs/{id}/log", summary: "Read the log of a job", query: read, reply: octets, headers: size, about: ranged, also: part()},
		{method: "HEAD", path: "/jobs/{id}/log", summary: "Ask how long the log of a job is", query: read, headers: size, also: part()},
	}
}

// poolRoutes are the operations on pools.
func poolRoutes() []route {
	out := []route{
		{method: "GET", path: "/restored", group: "info", summary: "Tell where a restored server's data came from, and how its machines differ from it", reply: restored.Reply{}},
		{method: "GET", path: "/pools-active", group: "pools", summary: "List the pools that machines are in", reply: []string{}},
		{method: "GET", path: "/pools/{id}/status", summary: "Tell which machines of a pool are in which state", reply: map[api.PoolStatus][]pool.Result{}},
		{method: "POST", path: "/machines/{id}/releaseToPool", group: "pools", summary: "Give a machine back to its pool", body: poolRequest(), optional: true, reply: []pool.Result{}},
	}
	for verb, says := range map[pool.Verb]string{pool.Add: "Move machines into a pool", pool.Remove: "Move machines back to the default pool",
		pool.Allocate: "Take free machines of a pool", pool.Release: "Give machines back to a pool"} {
		r := route{method: "POST", path: "/pools/{id}/" + string(verb), summary: says, use: []string{"force"}, body: poolRequest(), optional: true, reply: []pool.Result{},
			about:  "All or none of the machines move; fewer than pool/minimum found is a refusal.",
			sample: map[string]any{"pool/count": 2, "pool/filter": []string{"Arch=amd64"}, "pool/wait-timeout": "10m"}}
		if verb == pool.Add {
			r.query = []Parameter{ask("source-pool", "The pool to take from; default if not given.", text())}
		}
		out = append(out, r)
	}
	return out
}

// providerRoutes put programs of plugins on the server.
func providerRoutes() []route {
	const at = "/plugin_providers/{id}"
	return []route{
		{method: "POST", path: at, summary: "Upload the program of a plugin provider", body: octets, status: 201, reply: rest.ProviderUpload{},
			query: []Parameter{ask("replaceWritable", "Take over objects that its content holds and that exist outside of packs.", yes())},
			about: "The program is asked what it offers. Its processes may do everything, so only who may do that too can upload one."},
		{method: "DELETE", path: at, summary: "Remove a plugin provider with its content and files", reply: api.PluginProvider{}, says: "The provider as it was."},
		{method: "GET", path: at + "/binary", summary: "Download the program of a plugin provider", reply: octets},
	}
}

// poolRequest is the body of these, with DRP's names.
func poolRequest() *Schema {
	with := func(s *Schema, about string) *Schema { s.Description = about; return s }
	return &Schema{Type: "object", Properties: map[string]*Schema{
		"pool/count":             with(number(), "So many machines; 1 if nothing says how many."),
		"pool/minimum":           with(number(), "If fewer are found, none moves."),
		"pool/all-machines":      with(yes(), "All that fit."),
		"pool/machine-list":      with(names(), "These, by uuid or as Index:value."),
		"pool/filter":            with(names(), "Filters that all must hold, as Name=value."),
		"pool/wait-timeout":      with(&Schema{Type: []string{"integer", "string"}}, "Wait until they are at rest, so long at most: seconds or a duration such as 30m."),
		"pool/workflow":          with(text(), "Instead of the pool's own."),
		"pool/add-profiles":      names(),
		"pool/remove-profiles":   names(),
		"pool/add-parameters":    object(),
		"pool/remove-parameters": names(),
	}}
}

const ranged = "Range and If-Range are served: one range as it is, up to 16 as multipart/byteranges."

// part are the further replies to a request for a range of bytes.
func part() map[string]string {
	return map[string]string{"206": "The ranges asked for.", "416": "There are no such bytes; Content-Range says how many there are."}
}

// fileRoutes are uploads and downloads.
func fileRoutes() []route {
	sum := map[string]Header{"X-DRP-SHA256SUM": {Description: "SHA-256 of the file in hex.", Schema: text()}}
	var out []route
	for _, area := range []string{"files", "isos"} {
		at := "/" + area + "/{path}"
		out = append(out,
			route{method: "POST", path: at, summary: "Upload a file", body: octets, status: 201, reply: rest.UploadReply{}, headers: sum,
				query: []Parameter{ask("sha256", "Refuse the upload if its SHA-256 differs; the header X-DRP-SHA256SUM says the same.", text())}},
			route{method: "GET", path: at, summary: "Download a file", about: ranged, reply: octets, headers: sum, also: part()},
			route{method: "HEAD", path: at, summary: "Ask for size and checksum of a file", headers: sum, also: part()},
			route{method: "DELETE", path: at, summary: "Remove a file", reply: api.File{}})
	}
	return append(out, kindRoutes{name: "isos", shown: &Schema{Ref: "#/components/schemas/File"}}.lists([]Parameter{
		ask("path", "Instead of objects, name what is in this folder.", text())})...)
}
