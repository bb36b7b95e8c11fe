package openapi

import (
	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// kindRoutes are what makes the operations of one kind.
type kindRoutes struct {
	name   string // of the kind
	object *Schema
	shown  any    // what lists and writes answer with
	one    string // path of one object
	params bool   // objects carry params
	meta   bool
	sealed bool
	list   []Parameter // filters
}

// kind adds what a kind has because it is one, with the exceptions that rest
// makes: jobs are asked for, files are uploaded, preferences are one map.
func (b *builder) kind(k resource.Any) {
	ref, err := b.schemas.kind(k)
	if err != nil {
		b.schemas.conflict = err
		return
	}
	zero, _ := k.Decode([]byte("{}")) // schemas.kind has decoded the same
	r := kindRoutes{name: k.KindName(), object: ref, shown: ref, one: "/" + k.KindName() + "/{id}", params: k.ParamsOf(zero) != nil,
		meta: k.CommonOf(zero) != nil, sealed: k.ServerOnly(), list: filters(k)}
	if r.name == api.ContentPacks.Name {
		r.shown = rest.PackSummary{}
	}
	for _, op := range r.all() {
		op.group = r.name
		b.add(op)
	}
}

func (r kindRoutes) all() []route {
	var out []route
	if r.name != api.Preferences.Name {
		out = r.lists(r.list)
	}
	if r.name == api.Files.Name {
		return out
	}
	if r.name != api.Jobs.Name && !r.sealed {
		out = append(out, route{method: "POST", path: "/" + r.name, summary: "Create an object of " + r.name, use: []string{"force"}, body: r.object, reply: r.shown,
			status: 201, says: "The object as it was saved.", headers: tagged(), sample: examples[goName(r.object)]})
	}
	out = append(out, r.single()...)
	if r.name == api.ParamDefs.Name { // whose names have slashes, so nothing is below them
		return out
	}
	name := "actions"
	if r.name == api.Jobs.Name { // whose actions are its scripts
		name = "plugin_actions"
	}
	out = append(out, actionRoutes(r.one+"/"+name, r.name)...)
	if r.params {
		out = append(out, r.paramRoutes()...)
	}
	return out
}

func (r kindRoutes) lists(query []Parameter) []route {
	use := []string{"limit", "offset", "sort", "reverse", "slim", "fields"}
	if r.params {
		use = append(use, "params", "decode")
	}
	counts := map[string]Header{
		"X-DRP-LIST-COUNT":        {Description: "How many objects the reply has.", Schema: number()},
		"X-DRP-LIST-TOTAL-COUNT":  {Description: "How many there are without limit and offset.", Schema: number()},
		"X-DRP-LIST-FILTER-COUNT": {Description: "The same.", Schema: number()},
	}
	if r.name == api.Files.Name {
		query = append(query, ask("path", "Instead of objects, name what is in this folder.", text()))
	}
	return []route{
		{method: "GET", path: "/" + r.name, summary: "List " + r.name, about: filterText, use: use, query: query,
			reply: listSchema(r.shown), says: "Those that the caller may see and the filters let through.", headers: counts},
		{method: "HEAD", path: "/" + r.name, summary: "Count " + r.name, about: "Filters are those of GET.", query: others(), headers: counts},
	}
}

// listSchema is a list of what a kind shows.
func listSchema(shown any) any {
	if s, ok := shown.(*Schema); ok {
		return listOf(s)
	}
	return []rest.PackSummary{}
}

func (r kindRoutes) single() []route {
	show := []string{"IfNoneMatch", "Prefer", "slim", "fields"}
	if r.params {
		show = append(show, "params", "decode")
	}
	same := map[string]string{"304": "The object still has that ETag."}
	out := []route{
		{method: "GET", path: r.one, summary: "Read an object of " + r.name, use: show, reply: r.object, headers: tagged(), also: same},
		{method: "HEAD", path: r.one, summary: "Ask whether an object of " + r.name + " exists", use: show[:2], headers: tagged(), also: same},
	}
	if !r.sealed {
		edit := []string{"IfMatch", "force"}
		out = append(out,
			route{method: "PUT", path: r.one, summary: "Replace an object of " + r.name, use: edit, body: r.object, reply: r.shown, headers: tagged()},
			route{method: "PATCH", path: r.one, summary: "Change an object of " + r.name, about: "The body is a JSON patch (RFC 6902), sent as application/json.",
				use: edit, body: patchBody(), reply: r.shown, headers: tagged(), sample: patchExample},
			route{method: "DELETE", path: r.one, summary: "Delete an object of " + r.name, use: edit, reply: r.shown, says: "The object as it was."})
	}
	if r.meta {
		out = append(out,
			route{method: "GET", path: "/meta" + r.one, summary: "Read Meta of an object of " + r.name, reply: map[string]string{}},
			route{method: "PATCH", path: "/meta" + r.one, summary: "Change Meta of an object of " + r.name, use: []string{"IfMatch"}, body: patchBody(), reply: map[string]string{}})
	}
	return out
}

func (r kindRoutes) paramRoutes() []route {
	at, one := r.one+"/params", r.one+"/params/{name}"
	show := []string{"aggregate", "decode"}
	return []route{
		{method: "GET", path: at, summary: "Read params", use: append([]string{"params"}, show...), reply: resource.Params{}},
		{method: "POST", path: at, summary: "Replace all params", use: []string{"IfMatch"}, body: resource.Params{}, reply: resource.Params{}},
		{method: "PATCH", path: at, summary: "Change params", use: []string{"IfMatch"}, body: patchBody(), reply: resource.Params{}},
		{method: "GET", path: one, summary: "Read one param", use: show, reply: anything(), says: "Its value, null if it is not set."},
		{method: "POST", path: one, summary: "Set one param", use: []string{"IfMatch"}, body: anything(), reply: anything(), says: "Its value."},
		{method: "DELETE", path: one, summary: "Remove one param", use: []string{"IfMatch"}, reply: anything(), says: "The value that it had."},
		{method: "GET", path: r.one + "/pubkey", summary: "Read the key that secure params of the object are sealed with", reply: []byte{}},
	}
}

// actionRoutes are those of what has actions.
func actionRoutes(at, group string) []route {
	plugin := []Parameter{ask("plugin", "Only of this provider.", text())}
	return []route{
		{group: group, method: "GET", path: at, summary: "List the actions that can be run now", query: plugin, reply: []api.AvailableAction{}},
		{group: group, method: "GET", path: at + "/{cmd}", summary: "Describe one action", query: plugin, reply: api.AvailableAction{}},
		{group: group, method: "POST", path: at + "/{cmd}", summary: "Run an action", query: plugin, body: resource.Params{}, optional: true,
			reply: anything(), says: "What the action answers with; machines' power actions with the bmc_actions object that tells what becomes of it."},
	}
}

const filterText = "Any index, field or param is a filter: `?Name=node1`, or with an operator Eq, Ne, Lt, Lte, Gt, Gte, Between(a,b), Except(a,b), In(a,b,...), " +
	"Nin(a,b,...), Re(regular expression). Of filters of one name one must hold, of those of different names all; 32 at most."

// filters are the indexes of a kind, and whatever else objects have.
func filters(k resource.Any) []Parameter {
	var out []Parameter
	for _, x := range k.IndexInfos() {
		out = append(out, ask(x.Name, "Filter by "+x.Name+", a "+x.Type+".", text()))
	}
	return append(out, others()...)
}

// others are the filters that are no indexes.
func others() []Parameter {
	each := true
	p := ask("filters", "Each other name is a filter by a field or a param.", mapOf(text()))
	p.Style, p.Explode = "form", &each
	return []Parameter{p}
}

func tagged() map[string]Header {
	return map[string]Header{"ETag": {Description: "The object's revision, for If-Match and If-None-Match.", Schema: text()}}
}
