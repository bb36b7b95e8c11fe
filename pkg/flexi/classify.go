package flexi

import (
	"encoding/json"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// Params of classification. In version 2 the second three name the params to
// take instead.
const (
	ParamVersion      = "classify/version"
	ParamData         = "classify/classification-data"
	ParamFunctions    = "classify/custom-functions" // name -> template that renders to pass or fail
	ParamDisable      = "classify/disable-classifier"
	ParamDataAt       = "classify/data-parameter"
	ParamFunctionsAt  = "classify/function-parameter"
	ParamDisableAt    = "classify/disable-parameter"
	ParamArguments    = "classify/arguments" // what follows a custom test's name, for its template
	maxClassification = 1000                 // rules
	maxPlan           = 1 << 20              // bytes of them, as JSON
)

// rule is one entry of classification data.
type rule struct {
	Test     string   `json:"test"`
	Actions  []string `json:"actions"`
	Continue bool     `json:"continue"`
}

// classifier is what one classify task works with. It stops at each template
// until that is rendered, and goes on from there: see Rendering.
type classifier struct {
	*run
	*Rendering
	used int // of Rendering.Texts
}

// classify applies the actions of the first rule whose test passes, and of
// those after it as long as they continue.
func (x *run) classify() (engine.Result, error) {
	c := &classifier{run: x}
	if kept, err := Renderings.Get(x.tx, x.job.Uuid); err == nil {
		c.Rendering = kept.clone()
		x.log.WriteString(kept.Log)
	} else if c.Rendering, err = x.begin(); err != nil || c.Rendering == nil {
		return engine.Result{Done: err == nil}, err
	}
	for c.At.Rule < len(c.Rules) {
		more, err := c.rule(c.Rules[c.At.Rule])
		if err != nil {
			return engine.Result{}, err
		}
		if !more {
			break
		}
		c.pass(position{Rule: c.At.Rule + 1, Next: c.At.Next})
	}
	if c.At.Next != "" {
		return x.become(c.At.Next, "action change_workflow of its classification")
	}
	return done()
}

// begin reads what is to be classified by, nil if nothing is.
func (x *run) begin() (*Rendering, error) {
	data, functions, disable := ParamData, ParamFunctions, ParamDisable
	if v, err := param.Int(x.tx, x.scope, ParamVersion); err == nil && v == 2 {
		data, functions, disable = x.text(ParamDataAt), x.text(ParamFunctionsAt), x.text(ParamDisableAt)
	}
	if x.yes(disable) {
		x.say("switched off by %s", disable)
		return nil, nil
	}
	rules, err := x.rules(data)
	if err != nil {
		return nil, err
	}
	out := &Rendering{Job: x.job.Uuid, Machine: x.on.Uuid, Rules: rules}
	v, _ := x.value(functions)
	out.Custom, _ = v.(map[string]any)
	if text, err := json.Marshal(out.Custom); err != nil || len(text) > maxPlan {
		return nil, x.invalid("param %s is longer than %d bytes", functions, maxPlan)
	}
	return out, nil
}

// rule does what is left of one rule, and says whether the next one counts.
func (c *classifier) rule(r rule) (more bool, err error) {
	if !c.At.Passed {
		pass, err := c.test(r.Test)
		if err != nil || !pass {
			return true, err
		}
		c.say("passed: %.200s", r.Test)
		c.pass(position{Rule: c.At.Rule, Passed: true, Next: c.At.Next})
	}
	for c.At.Action < len(r.Actions) {
		if err := c.apply(r.Actions[c.At.Action]); err != nil {
			return false, err
		}
		at := c.At
		at.Action++
		c.pass(at)
	}
	return r.Continue, nil
}

func (x *run) rules(name string) ([]rule, error) {
	v, ok := x.value(name)
	if !ok {
		return nil, nil
	}
	var out []rule
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		return nil, x.invalid("param %s must be a list of {test, actions, continue}", name)
	}
	if len(out) > maxClassification || len(text) > maxPlan {
		return nil, x.invalid("param %s has %d rules in %d bytes, %d in %d at most", name, len(out), len(text), maxClassification, maxPlan)
	}
	return out, nil
}

func (c *classifier) apply(action string) error {
	text, err := c.rendered("classification action "+action, action, nil)
	if err != nil {
		return err
	}
	c.say("  %.200s", strings.SplitN(action, "{{", 2)[0])
	return c.act(text)
}

// act carries out one action: its name, then what it is about.
func (c *classifier) act(text string) error {
	name, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	rest = strings.TrimSpace(rest)
	first, second, _ := strings.Cut(rest, " ")
	if first == "" {
		return c.invalid("classification action %q says not what about", text)
	}
	switch name {
	case "set_parameter":
		return c.set(first, strings.TrimSpace(second))
	case "add_profile":
		return c.addProfile(first)
	case "change_workflow":
		c.At.Next = first
		return nil
	case "process_param_to_profile":
		return c.fromParam(first, strings.TrimSpace(second))
	}
	return c.invalid("no classification action %q: set_parameter, add_profile, change_workflow and process_param_to_profile exist", name)
}

// set gives a param a value: JSON if it is that, else text.
// The server sets it in nobody's name, so it is none that says where secrets go.
func (c *classifier) set(name, text string) error {
	if api.RoutesSecrets(name) {
		return c.invalid("a classification may not set param %s, which says where secrets are sent: set it with drpcli, which asks for the right", name)
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		v = text
	}
	return c.modify(func(m *api.Machine) {
		if m.Params == nil {
			m.Params = resource.Params{}
		}
		m.Params[name] = v
	})
}

func (c *classifier) addProfile(name string) error {
	if !api.Profiles.Has(c.tx, name) {
		return c.invalid("profile %q does not exist", name)
	}
	for _, p := range c.on.Profiles {
		if p == name {
			return nil
		}
	}
	return c.modify(func(m *api.Machine) { m.Profiles = append(m.Profiles, name) })
}

// fromParam adds the profile that a param's value names, after a prefix. Of a
// value a-b-c the most specific profile that exists counts: a-b-c, a-b, a.
func (c *classifier) fromParam(name, prefix string) error {
	value := c.text(name)
	for value != "" {
		if api.Profiles.Has(c.tx, prefix+value) {
			c.say("  profile %s%s", prefix, value)
			return c.addProfile(prefix + value)
		}
		value = value[:max(strings.LastIndex(value, "-"), 0)]
	}
	c.say("  no profile fits %s%s", prefix, c.text(name))
	return nil
}
