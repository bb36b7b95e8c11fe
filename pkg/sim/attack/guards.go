package main

import (
	"slices"

	"drpd/pkg/sim/overlay"
)

// guard is a decision that keeps attempts out, and how it is broken. Where two
// stand one behind the other, both are.
type guard struct {
	name  string
	edits []overlay.Edit
	apart bool // broken it changes what attempts at other guards find
}

// laxParts lets parts pass that the database does not know: behind each look at
// the parts themselves stands this one.
var laxParts = []overlay.Edit{
	{File: "pkg/datadir/join.go", Old: "\t\tcase !fits:\n", New: "\t\tcase false:\n"},
	{File: "pkg/datadir/join.go", Old: "case uint64(rev) < d.id.Rev &&", New: "case false &&"},
}

var guards = []guard{
	{name: "no proof", edits: []overlay.Edit{
		{File: "pkg/proof/claim.go", Old: "\tcase here == None:\n", New: "\tcase false:\n"},
	}},
	{name: "only offered", edits: []overlay.Edit{
		{File: "pkg/proof/proof.go", Old: `l.State == "ACK" && `, New: ""},
	}},
	{name: "in use", edits: []overlay.Edit{
		{File: "pkg/proof/proof.go", Old: "return m.PoolStatus == api.InUse || m.WorkOrderMode", New: "return false"},
	}},
	{name: "ticket of another", edits: []overlay.Edit{
		{File: "pkg/auth/ticket.go", Old: "t == nil || t.Address != from && !a.moved(i.view, i.g.machine, from, now)", New: "t == nil"},
	}},
	{name: "another's address", edits: []overlay.Edit{
		{File: "pkg/proof/claim.go", Old: "\tcase foreign != \"\" && (", New: "\tcase false && ("},
		{File: "pkg/proof/claim.go", Old: "\tcase here == None:\n", New: "\tcase false:\n"},
	}},
	{name: "its scripts", edits: []overlay.Edit{
		{File: "pkg/proof/proof.go", Old: "\tif foreign != \"\" {\n\t\treturn false\n\t}\n\treturn k", New: "\treturn true || foreign != \"\" || k"},
	}},
	{name: "fields of new machines", edits: []overlay.Edit{
		{File: "pkg/auth/fields.go", Old: "\t\treturn i.openPath(newFields, path)", New: "\t\treturn true"},
	}},
	{name: "fields of agents", edits: []overlay.Edit{
		{File: "pkg/auth/fields.go", Old: "\tif !slices.Contains(fields, field) {", New: "\tif false && !slices.Contains(fields, field) {"},
	}},
	{name: "params of agents", edits: []overlay.Edit{
		{File: "pkg/auth/fields.go", Old: "return deep && !i.steers(unpointed(name))", New: "return true || deep && !i.steers(unpointed(name))"},
	}},
	{name: "calls of agents", edits: []overlay.Edit{
		{File: "pkg/auth/machine.go", Old: "return action == \"token\" ||", New: "return strings.HasPrefix(action, \"action:\") || action == \"token\" ||"},
		{File: "pkg/auth/machine.go", Old: "import (\n\t\"slices\"\n", New: "import (\n\t\"slices\"\n\t\"strings\"\n"},
	}},
	{name: "orders of agents", edits: []overlay.Edit{
		{File: "pkg/auth/machine.go", Old: "return i.ownOrder(specific) && reads", New: "return i.ownOrder(specific)"},
	}},
	{name: "reservations of agents", edits: []overlay.Edit{
		{File: "pkg/auth/machine.go", Old: "return i.ownReservation(specific) && (reads", New: "return true && (reads"},
		{File: "pkg/auth/reserve.go", Old: "if !ok || i.Machine() == \"\"", New: "if true || !ok || i.Machine() == \"\""},
	}},
	{name: "routes of secrets", edits: []overlay.Edit{
		{File: "pkg/auth/routes.go", Old: "func (i Identity) mayRoute(c resource.Change) error {\n\tif i.g == nil ", New: "func (i Identity) mayRoute(c resource.Change) error {\n\tif true || i.g == nil "},
		{File: "pkg/auth/routes.go", Old: "func (i Identity) mayPair(tx *resource.Tx, c resource.Change) error {\n\tif i.g == nil ", New: "func (i Identity) mayPair(tx *resource.Tx, c resource.Change) error {\n\tif true || i.g == nil "},
	}},
	{name: "secrets of texts", edits: []overlay.Edit{
		{File: "pkg/flexi/rendering.go", Old: "type Renderer struct{ DB *resource.DB }", New: "type Renderer struct {\n\tDB *resource.DB\n\tVault *param.Vault\n}"},
		{File: "pkg/flexi/rendering.go", Old: "\t\"drpd/pkg/engine\"\n", New: "\t\"drpd/pkg/engine\"\n\t\"drpd/pkg/param\"\n"},
		{File: "pkg/flexi/rendering.go", Old: "Reader: r.DB.View()}", New: "Reader: r.DB.View(), Vault: r.Vault}"},
		{File: "pkg/daemon/core.go", Old: "&flexi.Renderer{DB: db}", New: "&flexi.Renderer{DB: db, Vault: cfg.Vault}"},
		{File: "pkg/render/params.go", Old: "\tif d.s.closed > 0 {\n\t\tr.Vault = nil\n\t}\n", New: ""},
	}},
	{name: "rendering in updates", apart: true, edits: []overlay.Edit{
		{File: "pkg/render/budget.go", Old: "if b.made -= n; b.made < 0 {", New: "if b.made -= n; false {"},
		{File: "pkg/flexi/rendering.go", Old: "\tn := c.used\n", New: "\tif f := (filled{What: what, Text: text, Extra: extra}); true {\n\t\tf.render(render.Context{Reader: c.tx, Machine: c.on})\n\t\treturn f.Result, nil\n\t}\n\tn := c.used\n"},
	}},
	{name: "special addresses", edits: []overlay.Edit{
		{File: "pkg/callout/callout.go", Old: "\taddr = addr.WithZone(\"\").Unmap()\n\tif p != nil &&", New: "\tif addr = addr.WithZone(\"\").Unmap(); true {\n\t\treturn nil\n\t}\n\tif p != nil &&"},
	}},
	{name: "redirects", edits: []overlay.Edit{
		{File: "pkg/callout/callout.go", Old: "\taddr = addr.WithZone(\"\").Unmap()\n\tif p != nil &&", New: "\tif addr = addr.WithZone(\"\").Unmap(); true {\n\t\treturn nil\n\t}\n\tif p != nil &&"},
		{File: "pkg/callout/http.go", Old: "\tfrom := via[0].URL\n", New: "\tfrom := via[0].URL\n\tif from != nil {\n\t\treturn nil\n\t}\n"},
	}},
	{name: "protection of clusters", edits: []overlay.Edit{
		{File: "pkg/guard/guard.go", Old: "if err != nil || !was.Protected {", New: "if true || err != nil || !was.Protected {"},
		{File: "pkg/guard/guard.go", Old: "if err != nil || !c.Protected || built(was, what) {", New: "if true || err != nil || !c.Protected || built(was, what) {"},
		{File: "pkg/auth/identity.go", Old: "func (i Identity) userMay(scope, action, specific string) bool {\n", New: "func (i Identity) userMay(scope, action, specific string) bool {\n\tif action == \"action:unprotect\" {\n\t\treturn true\n\t}\n"},
		{File: "pkg/rest/owned.go", Old: "who := setters[field]\n", New: "who := setters[field]\n\tif field == \"Protected\" {\n\t\treturn nil\n\t}\n"},
	}},
	{name: "evidence for Free", edits: []overlay.Edit{
		{File: "pkg/blank/blank.go", Old: "if m.Virtual || m.Unwiped == nil && len(foreign) == 0 {", New: "if true || m.Virtual || m.Unwiped == nil && len(foreign) == 0 {"},
	}},
	{name: "waiving of proof", edits: []overlay.Edit{
		{File: "pkg/auth/evidence.go", Old: "if !weaker || i.Allow", New: "if true || !weaker || i.Allow"},
	}},
	{name: "memory of disks", edits: []overlay.Edit{
		{File: "pkg/auth/evidence.go", Old: "if was.Unwiped == nil || was.Virtual || keeps ||", New: "if true || was.Unwiped == nil || was.Virtual || keeps ||"},
	}},
	{name: "missing parts", edits: slices.Concat(laxParts, []overlay.Edit{
		{File: "pkg/datadir/survey.go", Old: "\t\tcase f.fault != \"\":\n\t\t\tfaults = append(faults, Fault{p, d.Path(p), f.fault})\n", New: "\t\tcase f.fault != \"\":\n"},
		{File: "pkg/datadir/join.go", Old: "if errors.Is(err, fs.ErrNotExist) {\n\t\t\tf, err = KeyFile", New: "if err != nil {\n\t\t\tf, err = KeyFile"},
		{File: "pkg/datadir/join.go", Old: "\tcase !known && d.id.Making == \"\":\n\t\treturn fault(\"does not say whose it is: it is not the one that this server made\")\n", New: ""},
	})},
	{name: "foreign parts", edits: slices.Concat(laxParts, []overlay.Edit{
		{File: "pkg/datadir/survey.go", Old: "\t\tcase f.owner != \"\" && f.owner != d.id.Server:\n\t\t\tfaults", New: "\t\tcase false:\n\t\t\tfaults"},
		{File: "pkg/datadir/join.go", Old: "\tcase known && self.Id != d.id.Server:\n", New: "\tcase false:\n"},
		{File: "pkg/datadir/join.go", Old: "if f.Server != \"\" && f.Server != d.id.Server {", New: "if false {"},
		{File: "pkg/datadir/join.go", Old: "if f := d.cfg.look(part); !absent(path) && f.owner != d.id.Server {", New: "if f := d.cfg.look(part); false && f.owner != d.id.Server {"},
	})},
	{name: "log of another", edits: []overlay.Edit{
		{File: "pkg/store/sqlite/sum.go", Old: "case newest > rev || sum.Valid && uint64(sum.Int64) != is:", New: "case newest < 0 && sum.Valid && uint64(sum.Int64) != is:"},
		{File: "pkg/datadir/join.go", Old: "case uint64(rev) < d.id.Rev &&", New: "case false &&"},
	}},
	{name: "not empty", edits: []overlay.Edit{
		{File: "pkg/datadir/survey.go", Old: "\tif len(names) > 0 {", New: "\tif false {"},
	}},
	{name: "older database", edits: []overlay.Edit{
		{File: "pkg/datadir/join.go", Old: "case uint64(rev) < d.id.Rev &&", New: "case false &&"},
	}},
	{name: "seal of backups", apart: true, edits: []overlay.Edit{
		{File: "pkg/datadir/backup.go", Old: "\terr = w.Close()\n\treturn out.Bytes(), err", New: "\terr = w.Close()\n\tfor _, k := range keys {\n\t\tout.Write(k)\n\t}\n\treturn out.Bytes(), err"},
	}},
	{name: "restored server", edits: []overlay.Edit{
		{File: "pkg/daemon/restored.go", Old: "if r := g.closed.Load(); r != nil && !g.open.Load() {", New: "if r := g.closed.Load(); false && r != nil {"},
		{File: "pkg/daemon/restored.go", Old: "case r != nil && (m != \"\" || !reads):", New: "case false && r != nil && (m != \"\" || !reads):"},
	}},
}

// behind are attempts that stay refused when their guard alone is broken, since
// another decision stands behind it. They are made, and must be refused; they do
// not count, for nothing shows here that they could get through.
var behind = map[string][]string{
	"fields of agents":       {"its own closed fields, the whole by patch"},
	"params of agents":       {"its own closed params, the whole by patch", "its own closed params, PUT", "its own closed params, PUT, lower case", "its own closed params, replace"},
	"calls of agents":        {"unprotect itself", "approve its disks", "exempt its disks"},
	"orders of agents":       {"its order's blueprint"},
	"secrets of texts":       {"a test"},
	"protection of clusters": {"by whole", "forgetting", "the destroy verb", "in lower case", "a nearer param", "a stage of its own"},
	"evidence for Free":      {"another workflow", "the cursor at the end", "released again", "out of the pool", "its plan", "released with a flow"},
	"fields of the server's": {"the status", "the status, lower", "its note of data", "said to be virtual", "deleted and made anew"},
}

// counts says whether breaking its guard alone lets the attempt through.
func (a attack) counts() bool { return a.guard != "" && !slices.Contains(behind[a.guard], a.name) }
