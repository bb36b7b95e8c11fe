package rest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

func (s *server) prefs(c echo.Context) map[string]string {
	out, id := map[string]string{}, identity(c)
	for p := range api.Preferences.All(s.cfg.DB.View()) {
		if id.Allow("preferences", "get", p.Name) || id.Allow("prefs", "get", p.Name) {
			out[p.Name] = p.Value
		}
	}
	return out
}

func (s *server) getPrefs(c echo.Context) error { return c.JSON(http.StatusOK, s.prefs(c)) }

func (s *server) setPrefs(c echo.Context) error {
	var in map[string]string
	if err := s.bodyInto(c, &in); err != nil {
		return err
	}
	for name := range in {
		if !slices.Contains(s.cfg.PrefNames, name) {
			return resource.Errorf(resource.Malformed, "preferences", name, "unknown preference: use one of %s", strings.Join(s.cfg.PrefNames, ", "))
		}
		if err := allow(c, "preferences", "update:/Value", name); err != nil {
			return err
		}
	}
	err := s.cfg.DB.Update(c.Request().Context(), func(tx *resource.Tx) error {
		for name, value := range in {
			p := &api.Preference{Name: name, Value: value}
			if err := s.checkPref(tx, p); err != nil {
				return err
			}
			if err := api.Preferences.Put(tx, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, s.prefs(c))
}

// numbers are the preferences that count something.
var numbers = []string{"knownTokenTimeout", "unknownTokenTimeout", "jobsToKeep"}

// checkPref refuses a slip of the pen: what only a preference would reveal when
// the next machine boots.
func (s *server) checkPref(r resource.Reader, p *api.Preference) error {
	if slices.Contains(numbers, p.Name) {
		if n, err := strconv.Atoi(p.Value); err != nil || n < 0 {
			return resource.Errorf(resource.Invalid, "preferences", p.Name, "%q is not a whole number", p.Value)
		}
	}
	for name, words := range map[string][]string{api.PrefReleaseProof: {api.ReleaseRequired, api.ReleaseNone}, api.PrefForeignDisks: {api.ForeignRefuse, api.ForeignOverwrite}} {
		if p.Name == name && !slices.Contains(words, p.Value) {
			return resource.Errorf(resource.Invalid, "preferences", p.Name, "%q is none of %s", p.Value, strings.Join(words, ", "))
		}
	}
	for _, ref := range api.Preferences.Refs(p) {
		k := s.kinds[ref.Kind]
		if k == nil {
			continue
		}
		if _, err := k.Lookup(r, ref.Key); err != nil {
			return resource.Errorf(resource.Invalid, "preferences", p.Name, "there is no %s %q", strings.TrimSuffix(ref.Kind, "s"), ref.Key)
		}
	}
	return nil
}
