package render

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"text/template"
	"text/template/parse"

	"drpd/pkg/api"
)

// Cache keeps the functions and the parsed templates between renderings. It
// may be used by any number of renderings at once.
type Cache struct {
	funcs map[string]function
	names template.FuncMap // the same, for parsing

	mu     sync.Mutex // guards all below
	parsed map[string]parsed
	texts  map[text]parsed // that are no Template objects
	bytes  int             // in texts
}

// text is a template as a task or boot environment holds it.
type text struct{ name, text string }

// Bounds of Cache.texts; when it is full they are parsed anew.
const (
	maxTexts     = 1024
	maxTextBytes = 16 << 20
)

// Bounds of one text that is parsed: what it becomes is far larger.
const (
	maxActions = 20_000  // in braces
	maxParsed  = 4 << 20 // bytes
	perAction  = 2_000   // bytes of memory, about
)

// NewCache returns an empty cache.
func NewCache() *Cache {
	funcs, names := functions(), template.FuncMap{}
	for name, f := range funcs {
		names[name] = f.of.Interface()
	}
	return &Cache{funcs: funcs, names: names, parsed: map[string]parsed{}, texts: map[text]parsed{}}
}

// parsed is one text after parsing: itself, what it defines inside, and the
// names that it calls.
type parsed struct {
	of    *api.Template // which revision; objects are never changed in place
	trees []*parse.Tree
	calls []string
	funcs []string // of the cache's, those that it names
}

// stored returns a Template object in parsed form.
func (c *Cache) stored(t *api.Template) (parsed, error) {
	c.mu.Lock()
	p, ok := c.parsed[t.ID]
	c.mu.Unlock()
	if ok && p.of == t {
		return p, nil
	}
	p, err := c.parse(t.ID, t.Contents)
	if err != nil {
		return p, err
	}
	p.of = t
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parsed[t.ID] = p
	return p, nil
}

// local returns a text in parsed form.
func (c *Cache) local(name, content string) (parsed, error) {
	key := text{name, content}
	c.mu.Lock()
	p, ok := c.texts[key]
	c.mu.Unlock()
	if ok {
		return p, nil
	}
	p, err := c.parse(name, content)
	if err != nil {
		return p, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.texts) >= maxTexts || c.bytes > maxTextBytes {
		clear(c.texts)
		c.bytes = 0
	}
	c.texts[key] = p
	c.bytes += len(content)
	return p, nil
}

// parse reads a text and adds the counting of calls and loops to it. The
// functions that count are not known while parsing, so a text cannot call them.
func (c *Cache) parse(name, text string) (parsed, error) {
	if n := strings.Count(text, "{{"); n > maxActions || n > 0 && len(text) > maxParsed {
		return parsed{}, fmt.Errorf("%s has %d actions in %d bytes: %d in %d at most", name, n, len(text), maxActions, maxParsed)
	}
	t, err := template.New(name).Funcs(c.names).Parse(text)
	if err != nil {
		return parsed{}, err
	}
	p := parsed{}
	note := func(fn string) {
		if _, ok := c.funcs[fn]; ok && !slices.Contains(p.funcs, fn) {
			p.funcs = append(p.funcs, fn)
		}
	}
	for _, t := range t.Templates() {
		if t.Tree == nil || t.Root == nil {
			continue
		}
		uses(t.Root, note)
		w := weaver{name: t.Name(), calls: &p.calls}
		w.list(t.Root)
		t.Root.Nodes = slices.Concat([]parse.Node{w.snippet(enterFunc)}, t.Root.Nodes, []parse.Node{w.snippet(leaveFunc)})
		p.trees = append(p.trees, t.Tree)
	}
	return p, nil
}

const (
	enterFunc = "enterTemplate"
	leaveFunc = "leaveTemplate"
	stepFunc  = "stepTemplate"
	printFunc = "printTemplate"
)

// weaver walks a parsed template: it notes calls, has the turns of loops
// counted, and what is printed measured.
type weaver struct {
	name  string
	calls *[]string
}

func (w weaver) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		w.node(n)
	}
}

func (w weaver) node(n parse.Node) {
	switch n := n.(type) {
	case *parse.ActionNode:
		if len(n.Pipe.Decl) == 0 {
			n.Pipe.Cmds = append(n.Pipe.Cmds, w.snippet(printFunc).(*parse.ActionNode).Pipe.Cmds...)
		}
	case *parse.TemplateNode:
		*w.calls = append(*w.calls, n.Name)
	case *parse.IfNode:
		w.list(n.List)
		w.list(n.ElseList)
	case *parse.WithNode:
		w.list(n.List)
		w.list(n.ElseList)
	case *parse.RangeNode:
		w.list(n.List)
		w.list(n.ElseList)
		n.List.Nodes = slices.Concat([]parse.Node{w.snippet(stepFunc)}, n.List.Nodes)
	}
}

// snippet is the node {{fn}}.
func (w weaver) snippet(fn string) parse.Node {
	t := parse.New(w.name)
	t.Mode = parse.SkipFuncCheck
	tree, err := t.Parse("{{"+fn+"}}", "", "", map[string]*parse.Tree{})
	if err != nil {
		panic(fmt.Sprintf("render: %s does not parse: %v", fn, err)) // a constant: cannot happen
	}
	return tree.Root.Nodes[0]
}
