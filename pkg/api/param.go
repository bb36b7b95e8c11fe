package api

import (
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"drpd/pkg/resource"
)

// Param gives a parameter its type, its default and its secrecy.
type Param struct {
	resource.Common
	Documented
	Name   string
	Schema any // JSON schema; its "default" is the value of last resort
	Secure bool

	compiled *schema // of Schema; set with the defaults, before anybody shares the object
}

// schema is a compiled Schema, or why it does not compile.
type schema struct {
	rules *jsonschema.Schema
	cost  cost
	err   error
}

// validate checks a value, if that can be done in time.
func (s *schema) validate(v any) error {
	if err := s.cost.admits(v); err != nil {
		return err
	}
	return s.rules.Validate(v)
}

// ParamDefs are the declarations of params.
var ParamDefs = &resource.Kind[Param]{
	Name: "params", Key: func(o *Param) string { return o.Name },
	Common: func(o *Param) *resource.Common { return &o.Common }, Engine: engineCommon,
	Indexes: []resource.Index[Param]{keyed(ByName, func(o *Param) string { return o.Name }),
		scan(boolean("Secure", func(o *Param) bool { return o.Secure }))},
	Default: func(o *Param) {
		o.compiled = nil
		if o.Schema != nil {
			o.compiled = compile(o.Schema)
		}
	},
	Validate: (*Param).problems,
}

// Default is the value that the schema gives to those who set none.
func (o *Param) Default() (value any, ok bool) {
	m, _ := o.Schema.(map[string]any)
	value, ok = m["default"]
	return value, ok
}

func (o *Param) problems() []string {
	p := problems{}
	p.name("Name", o.Name, paramName)
	if o.compiled == nil {
		return p
	}
	if o.compiled.err != nil {
		p.add("Schema: %s", unfit(o.compiled.err))
		return p
	}
	if v, ok := o.Default(); ok && !o.Secure {
		if err := o.compiled.validate(v); err != nil {
			p.add("Error in default value: %s", unfit(err))
		}
	}
	return p
}

// Check says why a value does not fit the parameter, "" if it does. It costs
// no compilation on a param that is or was stored.
func (o *Param) Check(value any) string {
	if o.Schema == nil {
		return ""
	}
	s := o.compiled
	if s == nil {
		s = compile(o.Schema)
	}
	if s.err != nil {
		return fmt.Sprintf("schema of %s: %s", o.Name, unfit(s.err))
	}
	if err := s.validate(value); err != nil {
		return fmt.Sprintf("param %s: %s", o.Name, unfit(err))
	}
	return ""
}

// unfit words what a schema says against a value, or its draft against the
// schema, in one line.
func unfit(err error) string {
	if s, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		err = s.Err
	}
	v, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return err.Error()
	}
	return strings.Join(leaves(v), "; ")
}

func leaves(v *jsonschema.ValidationError) (out []string) {
	for _, cause := range v.Causes {
		out = append(out, leaves(cause)...)
	}
	if len(v.Causes) == 0 {
		out = []string{strings.TrimPrefix(v.Error(), "at '': ")}
	}
	return out
}

// compile reads a schema that does not name its draft as DRP does: as draft 7,
// or as draft 4, where exclusiveMinimum is true or false.
func compile(doc any) *schema {
	cost, err := costOf(doc)
	if err != nil {
		return &schema{err: err}
	}
	rules, err := compileDraft(doc, jsonschema.Draft7)
	if err == nil {
		return &schema{rules: rules, cost: cost}
	}
	if rules, old := compileDraft(doc, jsonschema.Draft4); old == nil {
		return &schema{rules: rules, cost: cost}
	}
	return &schema{err: err}
}

func compileDraft(doc any, draft *jsonschema.Draft) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(draft)
	c.UseLoader(noLoader{})
	if err := c.AddResource("mem:///param", doc); err != nil {
		return nil, err
	}
	return c.Compile("mem:///param")
}

// noLoader keeps a schema from making the server read files.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, errors.New(url + " is outside the schema: put it under definitions")
}
