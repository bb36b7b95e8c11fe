package auth

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"drpd/pkg/api"
	"drpd/pkg/auth/token"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// mayRoute refuses a change of what says where secrets are sent, by whatever way
// it comes and wherever in the object it stands, to whoever may not set secrets
// there: what a pool, a trigger or a batch gives to machines and orders later is
// given by nobody who could be asked then. What is taken away sends nothing.
func (i Identity) mayRoute(c resource.Change) error {
	if i.g == nil || c.New == nil {
		return nil
	}
	var err error
	eachParams(reflect.ValueOf(c.New), "", func(at string, is resource.Params) bool {
		var was resource.Params
		if c.Old != nil {
			eachParams(reflect.ValueOf(c.Old), "", func(old string, p resource.Params) bool {
				if old == at {
					was = p
				}
				return old != at
			})
		}
		err = i.mayRouteBy(c, is, was)
		return err == nil
	})
	if t, ok := c.New.(*api.Trigger); ok && err == nil && t.StoreDataInParameter != "" {
		was, _ := c.Old.(*api.Trigger)
		if was == nil || was.StoreDataInParameter != t.StoreDataInParameter {
			err = i.mayRouteBy(c, resource.Params{t.StoreDataInParameter: nil}, nil)
		}
	}
	return err
}

func (i Identity) mayRouteBy(c resource.Change, is, was resource.Params) error {
	for _, name := range api.SecretRoutes() {
		v, ok := is[name]
		old, had := was[name]
		if !ok || had && reflect.DeepEqual(v, old) {
			continue
		}
		if i.setsSecrets(c.Kind, c.Key, "updateSecure") {
			if !api.RendersSecrets(name) || i.setsSecrets(c.Kind, c.Key, "getSecure") {
				continue
			}
			return resource.Errorf(resource.Forbidden, c.Kind, c.Key,
				"%s may not set param %s, whose templates get secrets: that takes the right to read secrets (getSecure) too", i.Name, name)
		}
		return resource.Errorf(resource.Forbidden, c.Kind, c.Key,
			"%s may not set param %s, which says where a secret is sent: that takes the right to set secrets (updateSecure)", i.Name, name)
	}
	return nil
}

const (
	controllerAddress  = "ipmi/address"
	controllerPassword = "ipmi/password"
)

// controllerRoute is what decides to whom a machine's BMC password goes: the routes
// of secrets that are about BMCs.
var controllerRoute = slices.DeleteFunc(api.SecretRoutes(), func(name string) bool { return !strings.HasPrefix(name, "ipmi/") })

// mayPair refuses to bring a BMC's address and a password together that come from
// different objects, to whoever may not set the secrets of the object that has
// the password: a profile's password goes nowhere that its owners did not mean.
func (i Identity) mayPair(tx *resource.Tx, c resource.Change) error {
	if i.g == nil || c.New == nil {
		return nil
	}
	if c.Kind == api.Profiles.Name {
		return i.mayLend(c)
	}
	is, ok := c.New.(*api.Machine)
	if !ok || c.Kind != api.Machines.Name {
		return nil
	}
	was, _ := c.Old.(*api.Machine)
	if was != nil && reflect.DeepEqual(was.Profiles, is.Profiles) && !routesChanged(was.Params, is.Params) {
		return nil
	}
	now, src := pairing(tx, is)
	if now == "" || src.Kind == api.Machines.Name {
		return nil
	}
	if was != nil {
		if before, from := pairing(tx, was); before == now && from == src {
			return nil
		}
	}
	if i.setsSecrets(src.Kind, src.Key, "updateSecure") {
		return nil
	}
	return resource.Errorf(resource.Forbidden, c.Kind, c.Key,
		"this would send the password of the BMC that %s has to %s: that takes the right to set secrets of %s (updateSecure), or a password of the machine's own", src, now, src)
}

// mayLend refuses an address in a profile to whoever may not set the secrets of
// all profiles: a machine may have its password from any other.
func (i Identity) mayLend(c resource.Change) error {
	is := c.New.(*api.Profile)
	was, _ := c.Old.(*api.Profile)
	if was == nil {
		was = &api.Profile{}
	}
	for _, name := range controllerRoute {
		v, ok := is.Params[name]
		if old, had := was.Params[name]; !ok || had && reflect.DeepEqual(v, old) {
			continue
		}
		if !i.setsSecrets(c.Kind, "*", "updateSecure") {
			return resource.Errorf(resource.Forbidden, c.Kind, c.Key,
				"%s may not set param %s of a profile: a machine may get its BMC's password from another profile, so that takes the right to set secrets of all profiles (updateSecure on *); set it on the machine instead", i.Name, name)
		}
	}
	return nil
}

func routesChanged(was, is resource.Params) bool {
	changed := func(name string) bool { return !reflect.DeepEqual(was[name], is[name]) }
	return changed(controllerPassword) || slices.ContainsFunc(controllerRoute, changed)
}

// pairing words where a machine's BMC is reached, and says where its password is
// from; "" if it has not both.
func pairing(r resource.Reader, m *api.Machine) (route string, from param.Source) {
	scope := param.Scope{Machine: m}
	_, from, ok := param.Get(r, scope, controllerPassword)
	address, _, has := param.Get(r, scope, controllerAddress)
	if !ok || !has {
		return "", from
	}
	route = fmt.Sprint(address)
	for _, name := range controllerRoute {
		if v, _, ok := param.Get(r, scope, name); ok && name != controllerAddress {
			route += fmt.Sprintf(", %s %v", name, v)
		}
	}
	return route, from
}

// setsSecrets says whether the caller has the right to set (updateSecure) or read
// (getSecure) secrets of an object by a role or a task's claim; an agent seals
// what it likes, but says nothing of where others' secrets go.
func (i Identity) setsSecrets(kind, key, action string) bool {
	if i.IsUser() {
		return i.Allow(kind, action, key)
	}
	return (i.isPlugin() || i.Kind == token.Job) && i.covered(kind, action, key)
}

// eachParams calls visit with all params in an object, however deep, until it
// says no. A path names where they stand.
func eachParams(v reflect.Value, at string, visit func(at string, p resource.Params) bool) bool {
	if !v.IsValid() || !holdsParams(v.Type(), 0) {
		return true
	}
	if v.Type() == paramsType {
		return visit(at, v.Interface().(resource.Params))
	}
	switch v.Kind() {
	case reflect.Pointer:
		return eachParams(v.Elem(), at, visit)
	case reflect.Struct:
		for _, n := range paramFields(v.Type()) {
			if !eachParams(v.Field(n), at+"."+v.Type().Field(n).Name, visit) {
				return false
			}
		}
	case reflect.Slice, reflect.Array:
		for n := range v.Len() {
			if !eachParams(v.Index(n), fmt.Sprintf("%s.%d", at, n), visit) {
				return false
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if !eachParams(v.MapIndex(k), fmt.Sprintf("%s.%v", at, k), visit) {
				return false
			}
		}
	}
	return true
}

var (
	paramsType = reflect.TypeFor[resource.Params]()
	withParams sync.Map // reflect.Type to whether params can be in it
	fieldsWith sync.Map // reflect.Type of a struct to the numbers of its fields that can hold some
)

func paramFields(t reflect.Type) []int {
	if known, ok := fieldsWith.Load(t); ok {
		return known.([]int)
	}
	var out []int
	for n := range t.NumField() {
		if f := t.Field(n); f.IsExported() && holdsParams(f.Type, 0) {
			out = append(out, n)
		}
	}
	fieldsWith.Store(t, out)
	return out
}

// deepest bounds how deep params are looked for in a type that holds itself.
const deepest = 8

func holdsParams(t reflect.Type, depth int) bool {
	if t == paramsType {
		return true
	}
	if known, ok := withParams.Load(t); ok {
		return known.(bool)
	}
	holds := false
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		holds = depth < deepest && holdsParams(t.Elem(), depth+1)
	case reflect.Struct:
		for n := range t.NumField() {
			holds = holds || depth < deepest && t.Field(n).IsExported() && holdsParams(t.Field(n).Type, depth+1)
		}
	}
	if depth == 0 {
		withParams.Store(t, holds)
	}
	return holds
}
