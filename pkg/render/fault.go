package render

import (
	"fmt"
	"regexp"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// fail says for which object what could not be rendered, in one sentence. The
// user can correct it, so it is Invalid whatever the cause.
func (c Context) fail(name string, err error) error {
	cause := c.sentence(err.Error())
	if c.Machine == nil {
		return resource.Errorf(resource.Invalid, "", "", "render %s%s: %s", name, c.pack(), cause)
	}
	return resource.Errorf(resource.Invalid, param.KindOf(c.Reader, c.Machine), c.Machine.Uuid,
		"render %s%s for %s: %s", name, c.pack(), c.Machine.Name, cause)
}

// pack names the content pack of what is rendered.
func (c Context) pack() string {
	switch {
	case c.Task != nil:
		return ofPack(c.Task.Bundle)
	case c.Env != nil:
		return ofPack(c.Env.Bundle)
	}
	return ""
}

func ofPack(bundle string) string {
	if bundle == "" {
		return ""
	}
	return " of content pack " + bundle
}

// place is where text/template says that something is wrong; places come one
// after the other when templates call each other.
var place = regexp.MustCompile(`template: (.+?):(\d+)(?::\d+)?: (?:executing "[^"]*" at (<.*?>): )?(?:error calling \w+: )?`)

// sentence words the places in an error of text/template.
func (c Context) sentence(msg string) string {
	out := place.ReplaceAllStringFunc(msg, func(s string) string {
		m := place.FindStringSubmatch(s)
		pack := ""
		if t, err := api.Templates.Get(c.Reader, m[1]); err == nil {
			pack = ofPack(t.Bundle)
		}
		at := fmt.Sprintf("template %s%s, line %s", m[1], pack, m[2])
		if m[3] != "" {
			at += ", at " + m[3]
		}
		return at + ": "
	})
	return strings.Join(strings.Fields(out), " ")
}
