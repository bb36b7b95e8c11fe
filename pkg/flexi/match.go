package flexi

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"drpd/pkg/resource"
)

// test says whether a test of classification data passes: its name and what it
// is given. A custom function goes before a built-in one of the same name.
func (c *classifier) test(text string) (bool, error) {
	filled, err := c.rendered("classification test "+text, text, nil)
	if err != nil {
		return false, err
	}
	args := strings.Fields(filled)
	if len(args) == 0 {
		return false, c.invalid("a classification rule has no test")
	}
	if t, ok := c.Custom[args[0]]; ok {
		return c.customTest(args[0], t, args[1:])
	}
	if args[0] == "always" {
		return true, nil
	}
	if len(args) < 2 {
		return false, c.invalid("classification test %q is not known, or lacks what to compare with", filled)
	}
	return c.builtIn(args[0], args[1], strings.Join(args[2:], " "))
}

func (c *classifier) builtIn(name, what, want string) (bool, error) {
	switch name {
	case "has_mac":
		return slices.ContainsFunc(c.on.HardwareAddrs, func(mac string) bool { return strings.EqualFold(mac, what) }), nil
	case "in_subnet":
		return c.inSubnet(what)
	case "has_inventory_value":
		v, _ := c.value("inventory/data")
		got, ok := dig(v, what)
		return ok && (want == "" || got == want), nil
	case "has_param":
		_, ok := c.value(what)
		return ok, nil
	case "has_param_value":
		v, ok := c.value(what)
		return ok && fmt.Sprint(v) == want, nil
	case "has_profile":
		return slices.Contains(c.on.Profiles, what), nil
	case "has_workflow":
		return c.on.Workflow == what, nil
	}
	return false, c.invalid("classification test %q is not known: neither built in nor in param %s", name, ParamFunctions)
}

func (c *classifier) inSubnet(text string) (bool, error) {
	net, err := netip.ParsePrefix(text)
	if err != nil {
		return false, c.invalid("classification test in_subnet: %q is no subnet, such as 192.0.2.0/24", text)
	}
	addr, err := netip.ParseAddr(c.on.Address)
	return err == nil && net.Contains(addr), nil
}

// dig follows a path such as Disks.0.Serial.
func dig(v any, path string) (string, bool) {
	for _, step := range strings.Split(strings.TrimPrefix(path, "."), ".") {
		switch node := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = node[step]; !ok {
				return "", false
			}
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(node) {
				return "", false
			}
			v = node[i]
		default:
			return "", false
		}
	}
	return fmt.Sprint(v), true
}

func (c *classifier) customTest(name string, template any, args []string) (bool, error) {
	text, ok := template.(string)
	if !ok {
		return false, c.invalid("custom test %s must be the text of a template", name)
	}
	list := make([]any, len(args))
	for i, a := range args {
		list[i] = a
	}
	out, err := c.rendered("custom test "+name, text, resource.Params{ParamArguments: list})
	if err != nil {
		return false, err
	}
	switch strings.TrimSpace(out) {
	case "pass":
		return true, nil
	case "fail":
		return false, nil
	}
	return false, c.invalid("custom test %s must render to pass or fail, not to %.40q", name, out)
}
