package render

import (
	"text/template/parse"
)

// uses calls note with every function that a parsed text names. A set of
// templates is given only these: there are hundreds in all, and putting them
// into each new set would cost more than the rendering.
func uses(n parse.Node, note func(name string)) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, c := range n.Nodes {
				uses(c, note)
			}
		}
	case *parse.ActionNode:
		uses(n.Pipe, note)
	case *parse.TemplateNode:
		uses(n.Pipe, note)
	case *parse.IfNode:
		usesBranch(&n.BranchNode, note)
	case *parse.WithNode:
		usesBranch(&n.BranchNode, note)
	case *parse.RangeNode:
		usesBranch(&n.BranchNode, note)
	case *parse.PipeNode:
		if n != nil {
			for _, c := range n.Cmds {
				for _, arg := range c.Args {
					uses(arg, note)
				}
			}
		}
	case *parse.ChainNode:
		uses(n.Node, note)
	case *parse.IdentifierNode:
		note(n.Ident)
	}
}

func usesBranch(n *parse.BranchNode, note func(name string)) {
	uses(n.Pipe, note)
	uses(n.List, note)
	uses(n.ElseList, note)
}
