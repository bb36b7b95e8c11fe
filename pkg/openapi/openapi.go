// Package openapi describes the HTTP API v3 as an OpenAPI 3.1 document, made
// from the kinds of objects, the Go types of requests and replies, and the
// comments of both; and serves it, with a page to read and try it.
//
// The routes of a kind follow from its declaration, as they do in package rest.
// What is no route of a kind is listed in special.go and system.go; a test of
// package daemon compares all of them with the routes that are served.
package openapi

import (
	"slices"
	"strings"

	"drpd/pkg/resource"
)

// New describes a server with these kinds.
func New(kinds []resource.Any) (*Document, error) {
	d, _, err := newDocument(kinds)
	return d, err
}

func newDocument(kinds []resource.Any) (*Document, *builder, error) {
	c, err := readComments()
	if err != nil {
		return nil, nil, err
	}
	d := &Document{
		OpenAPI: "3.1.0",
		Info: Info{Title: "drpd API", Version: "v3",
			Description: "The HTTP API v3 of Digital Rebar Provision (DRP) as drpd serves it. Operations marked x-drpd are additions of drpd.",
			License:     License{Name: "Apache-2.0", Identifier: "Apache-2.0"}},
		Servers:  []Server{{URL: "/api/v3", Description: "this server"}},
		Security: []map[string][]string{{"basic": {}}, {"bearer": {}}},
		Paths:    map[string]map[string]*Operation{},
		Components: Components{Schemas: map[string]*Schema{}, Parameters: parameters(),
			SecuritySchemes: map[string]SecurityScheme{
				"basic":  {Type: "http", Scheme: "basic", Description: "Name and password of a user."},
				"bearer": {Type: "http", Scheme: "bearer", Description: "A token from GET /users/{id}/token, or of a machine or a job."},
			}},
	}
	b := &builder{doc: d, schemas: newSchemas(d.Components.Schemas, c)}
	d.Components.Responses = map[string]Response{"Error": {Description: "What is wrong, where, and the cure.",
		Content: jsonContent(b.schemas.of(errorReply))}}
	d.Components.Schemas["Patch"] = patchSchema()
	for _, k := range kinds {
		b.kind(k)
	}
	for _, r := range slices.Concat(machineRoutes(), jobRoutes(), poolRoutes(), fileRoutes(), providerRoutes(), accessRoutes(), eventRoutes(), systemRoutes()) {
		b.add(r)
	}
	b.tags()
	return d, b, b.schemas.conflict
}

// builder adds operations to a document.
type builder struct {
	doc     *Document
	schemas *schemas
	order   []string // tags as they came
}

func (b *builder) add(r route) {
	op := &Operation{OperationID: r.id(), Summary: r.summary, Description: r.about, Tags: []string{r.tag()}, Ours: r.ours,
		Parameters: r.parameters(), Responses: map[string]Response{}}
	if r.open {
		op.Security = &[]map[string][]string{}
	}
	if r.body != nil {
		op.RequestBody = &RequestBody{Required: !r.optional, Content: b.content(r.body, r.sample)}
	}
	op.Responses[r.success()] = b.reply(r)
	for code, text := range r.also {
		op.Responses[code] = Response{Description: text}
	}
	op.Responses["default"] = Response{Ref: "#/components/responses/Error"}
	if b.doc.Paths[r.path] == nil {
		b.doc.Paths[r.path] = map[string]*Operation{}
	}
	b.doc.Paths[r.path][strings.ToLower(r.method)] = op
	if !slices.Contains(b.order, r.tag()) {
		b.order = append(b.order, r.tag())
	}
}

func (b *builder) reply(r route) Response {
	out := Response{Description: r.replies(), Headers: r.headers}
	if r.reply != nil && r.method != "HEAD" {
		out.Content = b.content(r.reply, nil)
	}
	return out
}

// content is the body that a value stands for: a schema, bytes, text, or
// anything else as JSON of its type.
func (b *builder) content(v, sample any) map[string]MediaType {
	switch v := v.(type) {
	case *Schema:
		return map[string]MediaType{"application/json": {Schema: v, Example: sample}}
	case binary:
		return map[string]MediaType{string(v): {Schema: &Schema{}}}
	}
	return map[string]MediaType{"application/json": {Schema: b.schemas.of(v), Example: sample}}
}

func (b *builder) tags() {
	for _, name := range b.order {
		b.doc.Tags = append(b.doc.Tags, Tag{Name: name})
	}
}

func jsonContent(s *Schema) map[string]MediaType {
	return map[string]MediaType{"application/json": {Schema: s}}
}
