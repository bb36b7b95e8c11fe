package openapi

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Comments are not in the binary's types, so they are taken from the source and
// kept beside it; TestComments fails when they have grown apart.
//
//go:generate go test . -run TestComments -update
//go:embed comments.json
var commentsJSON []byte

// comment is what the source says of one type.
type comment struct {
	Doc    string            `json:"doc,omitempty"`
	Fields map[string]string `json:"fields,omitempty"`
	Values []value           `json:"values,omitempty"` // its constants, in their order
}

// value is one constant of a type.
type value struct {
	Value string `json:"value"`
	Doc   string `json:"doc,omitempty"`
}

// comments is by "package.Type".
type comments map[string]comment

func readComments() (comments, error) {
	out := comments{}
	if err := json.Unmarshal(commentsJSON, &out); err != nil {
		return nil, fmt.Errorf("read comments of types: %w", err)
	}
	return out, nil
}

// typeName is how comments and references name a type: the last part of its
// package, and its name.
func typeName(t reflect.Type) string {
	return t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:] + "." + t.Name()
}
