package api

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"drpd/pkg/resource"
)

// Claim allows actions on objects: each part is a comma list or "*".
type Claim struct {
	Scope    string `json:"scope"`
	Action   string `json:"action"`
	Specific string `json:"specific"`
}

// User may log in.
type User struct {
	resource.Common
	Described
	Name         string
	PasswordHash string `json:",omitempty"`
	Secret       string `json:",omitempty"`
	Roles        []string
}

// Role names claims.
type Role struct {
	resource.Common
	Documented
	Name   string
	Claims []Claim
}

// Preference is one setting of the server.
type Preference struct {
	Name  string
	Value string
}

// ContentPack is one content bundle: what it declares and what it holds.
type ContentPack struct {
	Meta     PackMeta                  `json:"meta"`
	Sections map[string]map[string]any `json:"sections"`
}

// PackMeta describes a content pack.
type PackMeta struct {
	Name             string
	Version          string
	Description      string
	Source           string
	Documentation    string
	RequiredFeatures string
	Prerequisites    string
	Color            string
	Icon             string
	Author           string
	DisplayName      string
	License          string
	Copyright        string
	CodeSource       string
	Order            string
	Tags             string
	DocUrl           string
	Type             string
	// Writable and Overwritable are the server's word: of what this pack holds,
	// may it be changed, and may another pack hold it too?
	Writable     bool
	Overwritable bool
}

// prefKinds are the kinds that preferences name an object of: while one does,
// it cannot be deleted.
var prefKinds = map[string]string{"defaultBootEnv": "bootenvs", "unknownBootEnv": "bootenvs", "defaultStage": "stages", "defaultWorkflow": "workflows"}

func (o *Role) problems() []string {
	p := problems(named(o.Name, plainName))
	for i, c := range o.Claims {
		for field, list := range map[string]string{"scope": c.Scope, "action": c.Action, "specific": c.Specific} {
			if strings.TrimSpace(list) == "" {
				p.add("Claims[%d].%s is empty: give a comma list, or * for all", i, field)
			}
		}
	}
	slices.Sort(p)
	return p
}

// The kinds of access and configuration.
var (
	Users = &resource.Kind[User]{
		Name: "users", Key: func(o *User) string { return o.Name },
		Common: func(o *User) *resource.Common { return &o.Common }, Engine: append([]string{"PasswordHash", "Secret"}, engineCommon...),
		Hidden:  []string{"PasswordHash", "Secret"},
		Indexes: []resource.Index[User]{keyed(ByName, func(o *User) string { return o.Name })},
		Default: func(o *User) {
			if o.Secret == "" {
				o.Secret = uuid.NewString()
			}
			o.Roles = full(o.Roles)
		},
		Validate: func(o *User) []string { return named(o.Name, userName) },
		Refs:     func(o *User) []resource.Ref { return refs("roles", o.Roles) },
	}
	Roles = &resource.Kind[Role]{
		Name: "roles", Key: func(o *Role) string { return o.Name },
		Common: func(o *Role) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes: []resource.Index[Role]{keyed(ByName, func(o *Role) string { return o.Name })},
		Default: func(o *Role) {
			if o.Claims == nil {
				o.Claims = []Claim{}
			}
		},
		Validate: (*Role).problems,
	}
	Preferences = &resource.Kind[Preference]{
		Name: "preferences", Key: func(o *Preference) string { return o.Name }, Default: (*Preference).Seal,
		Indexes: []resource.Index[Preference]{keyed(ByName, func(o *Preference) string { return o.Name })},
		Refs: func(o *Preference) []resource.Ref {
			if kind := prefKinds[o.Name]; kind != "" {
				return keep(refs(kind, one(o.Value)))
			}
			return nil
		},
	}
	ContentPacks = &resource.Kind[ContentPack]{
		Name: "contents", Key: func(o *ContentPack) string { return o.Meta.Name },
		Indexes:  []resource.Index[ContentPack]{keyed(ByName, func(o *ContentPack) string { return o.Meta.Name })},
		Validate: func(o *ContentPack) []string { return named(o.Meta.Name, machineName) },
	}
)
