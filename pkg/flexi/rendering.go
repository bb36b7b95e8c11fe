package flexi

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/render"
	"drpd/pkg/resource"
)

// Rendering is how far a classification has come that has templates. A template
// may loop for long, so none is rendered in an update: the task stores where it
// stands and what it wants rendered, and goes on when that is there. What it has
// done until then it does not do again. It goes with the end of its job.
type Rendering struct {
	Job     string // uuid
	Machine string // uuid of the machine, cluster or broker
	Rules   []rule // as they were when the task began
	Custom  map[string]any
	At      position
	Texts   []filled // those of the test or action at At
	Log     string   // what it has said until then
}

// position is a place in the rules.
type position struct {
	Rule, Action int
	Passed       bool   // the test has
	Next         string // workflow to change to
}

// filled is one text and what came of it.
type filled struct {
	What, Text    string
	Extra         resource.Params `json:",omitempty"`
	Over          bool
	Result, Error string
}

// Limits of what is rendered for a classification.
const (
	renderLimit = 30 * time.Second // for all texts at one place
	maxResult   = 1 << 20          // bytes of one
)

// Renderings by job.
var Renderings = &resource.Kind[Rendering]{
	Name: "renderings", Private: true, Key: func(o *Rendering) string { return o.Job },
	Engine: []string{"Job", "Machine", "Rules", "Custom", "At", "Texts", "Log"},
	Hidden: []string{"Rules", "Custom", "At", "Texts", "Log"},
	Known:  func(o *Rendering) (kind, key string) { return "renderings", o.Job }, // its events wake the machine's workflow
}

// RunsOn is whose workflow waits for it.
func (o *Rendering) RunsOn() string { return o.Machine }

// clone is a copy that can go on: what is stored is shared. Of the rules nothing
// is changed.
func (o *Rendering) clone() *Rendering {
	c := *o
	c.Texts = slices.Clone(o.Texts)
	return &c
}

// wanted says whether there is something to render.
func (o *Rendering) wanted() bool {
	return slices.ContainsFunc(o.Texts, func(f filled) bool { return !f.Over })
}

// errParked: the task is stored and waits for its templates.
var errParked = errors.New("waits for its templates")

// pass goes on to another place, with other texts.
func (c *classifier) pass(to position) { c.At, c.Texts, c.used = to, nil, 0 }

// rendered is a text with its templates filled in. Plain text is left alone.
func (c *classifier) rendered(what, text string, extra resource.Params) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	n := c.used
	if c.used++; n < len(c.Texts) && c.Texts[n].same(filled{What: what, Text: text, Extra: extra}) {
		switch f := c.Texts[n]; {
		case !f.Over:
			return "", errParked
		case f.Error != "":
			return "", c.invalid("%s: %s", what, f.Error)
		default:
			return f.Result, nil
		}
	}
	c.Texts = append(c.Texts[:n], filled{What: what, Text: text, Extra: extra})
	c.Log = c.log.String()
	if err := Renderings.Put(c.tx, c.Rendering); err != nil {
		return "", err
	}
	return "", errParked
}

func (f filled) same(as filled) bool {
	return f.What == as.What && f.Text == as.Text && reflect.DeepEqual(f.Extra, as.Extra)
}

// Renderer renders what classifications want, outside of updates and without
// secrets: whoever may write a machine's params, and the machine itself, may have
// written these texts, and reads what comes of them.
type Renderer struct{ DB *resource.DB }

// Action is the engine's row for renderings. It does nothing to the outside, so
// it needs no claim.
func (r *Renderer) Action() engine.Action[Rendering] {
	return engine.Action[Rendering]{
		Name: "renderings", Kind: Renderings, Timeout: renderLimit, Parallel: 4,
		Due:   func(o *Rendering, _ time.Time) (bool, time.Time) { return o.wanted(), time.Time{} },
		Claim: func(*Rendering, time.Time) {},
		Do: func(ctx context.Context, o *Rendering) func(*Rendering) error {
			out := r.fill(ctx, o)
			return func(now *Rendering) error { return now.settle(o.At, out) }
		},
	}
}

// settle takes what was rendered for one place, unless the task is elsewhere by
// now or wants another text.
func (o *Rendering) settle(at position, done []filled) error {
	for i, f := range done {
		if f.Over && o.At == at && i < len(o.Texts) && o.Texts[i].same(f) {
			o.Texts[i] = f
		}
	}
	return nil
}

func (r *Renderer) fill(ctx context.Context, o *Rendering) []filled {
	out, c := slices.Clone(o.Texts), render.Context{Ctx: ctx, Reader: r.DB.View()}
	gone := "its machine is gone"
	if j, err := api.Jobs.Get(c.Reader, o.Job); err == nil {
		if _, c.Machine = api.Runner(c.Reader, o.Machine); c.Machine != nil {
			s := scopeOf(c.Reader, j, c.Machine)
			c.Stage, c.Order, c.Blueprint, gone = s.Stage, s.Order, s.Blueprint, ""
		}
	}
	for i := range out {
		if f := &out[i]; gone != "" {
			f.Over, f.Error = true, gone
		} else if !f.Over {
			f.render(c)
		}
	}
	return out
}

func (f *filled) render(c render.Context) {
	c.Extra = f.Extra
	text, err := render.Text(c, f.What, f.Text)
	switch f.Over, f.Result = true, strings.TrimSpace(text); {
	case err != nil:
		f.Result, f.Error = "", err.Error()
	case len(f.Result) > maxResult:
		f.Result, f.Error = "", "it renders to more than a MiB"
	}
}

// Hooks remove what a job waited for with its end.
func Hooks() []resource.Hook {
	return []resource.Hook{resource.OnSave(api.Jobs, func(tx *resource.Tx, old, new *api.Job) error {
		if old == nil || new != nil && !new.Ended() {
			return nil
		}
		if Renderings.Has(tx, old.Uuid) {
			if err := Renderings.Delete(tx, old.Uuid); err != nil {
				return err
			}
		}
		if !api.Callbacks.Has(tx, old.Uuid) {
			return nil
		}
		return api.Callbacks.Delete(tx, old.Uuid)
	})}
}
