package main

import "drpd/pkg/sim/overlay"

// guard is a decision that keeps attempts out, and how it is broken. Where two
// stand one behind the other, both are.
type guard struct {
	name  string
	edits []overlay.Edit
}

var guards = []guard{
	{"no proof", []overlay.Edit{
		{File: "pkg/proof/claim.go", Old: "\tcase here == None:\n", New: "\tcase false:\n"},
	}},
	{"only offered", []overlay.Edit{
		{File: "pkg/proof/proof.go", Old: `l.State == "ACK" && `, New: ""},
	}},
	{"in use", []overlay.Edit{
		{File: "pkg/proof/proof.go", Old: "return m.PoolStatus == api.InUse || m.WorkOrderMode", New: "return false"},
	}},
	{"ticket of another", []overlay.Edit{
		{File: "pkg/auth/ticket.go", Old: "t == nil || t.Address != from && !a.moved(i.view, i.g.machine, from, now)", New: "t == nil"},
	}},
	{"another's address", []overlay.Edit{
		{File: "pkg/proof/claim.go", Old: "\tcase foreign != \"\":\n", New: "\tcase false:\n"},
		{File: "pkg/proof/claim.go", Old: "\tcase here == None:\n", New: "\tcase false:\n"},
	}},
	{"its scripts", []overlay.Edit{
		{File: "pkg/proof/proof.go", Old: "\tif foreign != \"\" {\n\t\treturn false\n\t}\n\treturn k", New: "\treturn true || k"},
	}},
	{"fields of new machines", []overlay.Edit{
		{File: "pkg/auth/fields.go", Old: "\t\treturn i.openPath(newFields, path)", New: "\t\treturn true"},
	}},
	{"fields of agents", []overlay.Edit{
		{File: "pkg/auth/fields.go", Old: "\tif !slices.Contains(fields, field) {\n\t\treturn false\n\t}\n", New: ""},
	}},
	{"params of agents", []overlay.Edit{
		{File: "pkg/auth/fields.go", Old: "return deep && !i.steers(unpointed(name))", New: "return true || deep && !i.steers(unpointed(name))"},
	}},
	{"calls of agents", []overlay.Edit{
		{File: "pkg/auth/machine.go", Old: "return action == \"token\" ||", New: "return strings.HasPrefix(action, \"action:\") || action == \"token\" ||"},
		{File: "pkg/auth/machine.go", Old: "import (\n\t\"slices\"\n", New: "import (\n\t\"slices\"\n\t\"strings\"\n"},
	}},
	{"orders of agents", []overlay.Edit{
		{File: "pkg/auth/machine.go", Old: "return i.ownOrder(specific) && reads", New: "return i.ownOrder(specific)"},
	}},
	{"reservations of agents", []overlay.Edit{
		{File: "pkg/auth/machine.go", Old: "return i.ownReservation(specific) && (reads", New: "return true && (reads"},
		{File: "pkg/auth/reserve.go", Old: "if !ok || i.Machine() == \"\"", New: "if true || !ok || i.Machine() == \"\""},
	}},
}
