package bundle

import (
	"fmt"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// need is one prerequisite of a pack.
type need struct {
	pack    string
	text    string // the constraint as it is written
	allowed constraint
}

// parseNeeds reads a list "name: constraint, name". An entry that begins with
// an operator goes on with the constraint before it.
func parseNeeds(list string) ([]need, error) {
	var out []need
	for _, entry := range strings.Split(list, ",") {
		entry = strings.TrimSpace(entry)
		switch {
		case entry == "":
			continue
		case operator(entry) != "" && len(out) > 0:
			out[len(out)-1].text += " " + entry
			continue
		}
		name, text, _ := strings.Cut(entry, ":")
		out = append(out, need{pack: strings.TrimSpace(name), text: strings.TrimSpace(text)})
	}
	for i := range out {
		var err error
		if out[i].allowed, err = parseConstraint(out[i].text); err != nil {
			return nil, fmt.Errorf("prerequisite %s: %w", out[i].pack, err)
		}
	}
	return out, nil
}

// String words the need for a user.
func (n need) String() string {
	if n.text == "" {
		return n.pack
	}
	return n.pack + " " + n.text
}

// problem says why a pack (nil: there is none) does not meet the need.
func (n need) problem(pack *api.ContentPack) string {
	if pack == nil {
		return fmt.Sprintf("needs content pack %s, which is not loaded: load it first", n)
	}
	v, err := parseVersion(pack.Meta.Version)
	if err != nil {
		return fmt.Sprintf("needs content pack %s, whose version cannot be compared: %v", n, err)
	}
	if !n.allowed.allows(v) {
		return fmt.Sprintf("needs content pack %s, but %s is loaded: load one that fits", n, v)
	}
	return ""
}

// ready says what a pack lacks: other packs, and features of the server.
func (p Packs) ready(r resource.Reader, pack *api.ContentPack) error {
	needs, err := parseNeeds(pack.Meta.Prerequisites)
	if err != nil {
		return resource.Errorf(resource.Invalid, api.ContentPacks.Name, pack.Meta.Name, "meta.Prerequisites: %v", err)
	}
	if _, err := parseVersion(pack.Meta.Version); err != nil {
		return resource.Errorf(resource.Invalid, api.ContentPacks.Name, pack.Meta.Name, "meta.Version: %v", err)
	}
	var msgs []string
	for _, n := range needs {
		have, _ := api.ContentPacks.Get(r, n.pack)
		if n.pack == pack.Meta.Name {
			have = pack
		}
		if msg := n.problem(have); msg != "" {
			msgs = append(msgs, msg)
		}
	}
	if missing := p.missing(pack.Meta.RequiredFeatures); len(missing) > 0 {
		msgs = append(msgs, "needs features that this server does not have: "+strings.Join(missing, ", "))
	}
	return conflict(resource.Invalid, pack.Meta.Name, msgs)
}

// missing lists the wanted features, separated by commas or spaces, that the
// server lacks.
func (p Packs) missing(wanted string) []string {
	var out []string
	if p.Features == nil {
		return nil
	}
	for _, f := range strings.FieldsFunc(wanted, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\t' }) {
		if !slices.Contains(p.Features, f) {
			out = append(out, f)
		}
	}
	return out
}

// still refuses to take a pack away, or to put another version in its place,
// that other packs need. next is nil or the new version.
func still(r resource.Reader, name string, next *api.ContentPack) error {
	var msgs []string
	for other := range api.ContentPacks.All(r) {
		needs, err := parseNeeds(other.Meta.Prerequisites)
		if err != nil || other.Meta.Name == name {
			continue
		}
		for _, n := range needs {
			switch {
			case n.pack != name:
			case next == nil:
				msgs = append(msgs, fmt.Sprintf("content pack %s needs it: remove that one first", other.Meta.Name))
			case n.problem(next) != "":
				msgs = append(msgs, fmt.Sprintf("content pack %s needs %s: replace that one first", other.Meta.Name, n))
			}
		}
	}
	return conflict(resource.Conflict, name, msgs)
}

func conflict(code resource.Code, pack string, msgs []string) error {
	if len(msgs) == 0 {
		return nil
	}
	return &resource.Error{Code: code, Kind: api.ContentPacks.Name, Key: pack, Msgs: msgs}
}
