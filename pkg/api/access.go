package api

import (
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
	Version          string `json:",omitempty"`
	Description      string `json:",omitempty"`
	Source           string `json:",omitempty"`
	Documentation    string `json:",omitempty"`
	RequiredFeatures string `json:",omitempty"`
	Prerequisites    string `json:",omitempty"`
	Color            string `json:",omitempty"`
	Icon             string `json:",omitempty"`
	Author           string `json:",omitempty"`
	DisplayName      string `json:",omitempty"`
	License          string `json:",omitempty"`
	Copyright        string `json:",omitempty"`
	CodeSource       string `json:",omitempty"`
	Order            string `json:",omitempty"`
	Tags             string `json:",omitempty"`
	DocUrl           string `json:",omitempty"`
	Type             string `json:",omitempty"`
}

// The kinds of access and configuration.
var (
	Users = &resource.Kind[User]{
		Name: "users", Key: func(o *User) string { return o.Name },
		Common: func(o *User) *resource.Common { return &o.Common }, Engine: append([]string{"PasswordHash", "Secret"}, engineCommon...),
		Hidden:  []string{"PasswordHash", "Secret"},
		Indexes: []resource.Index[User]{{Name: ByName, Of: func(o *User) []string { return one(o.Name) }, Unique: true}},
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
		Indexes:  []resource.Index[Role]{{Name: ByName, Of: func(o *Role) []string { return one(o.Name) }, Unique: true}},
		Validate: func(o *Role) []string { return named(o.Name, plainName) },
	}
	Preferences = &resource.Kind[Preference]{
		Name: "preferences", Key: func(o *Preference) string { return o.Name },
		Indexes: []resource.Index[Preference]{{Name: ByName, Of: func(o *Preference) []string { return one(o.Name) }, Unique: true}},
	}
	ContentPacks = &resource.Kind[ContentPack]{
		Name: "contents", Key: func(o *ContentPack) string { return o.Meta.Name },
		Indexes:  []resource.Index[ContentPack]{{Name: ByName, Of: func(o *ContentPack) []string { return one(o.Meta.Name) }, Unique: true}},
		Validate: func(o *ContentPack) []string { return named(o.Meta.Name, machineName) },
	}
)
