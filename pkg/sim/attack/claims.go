package main

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

const kindClaim = "be another machine"

// claims are attempts to be taken for a machine that is not one's own.
func claims() []attack {
	var out []attack
	add := func(guard, name string, try func(ctx context.Context, e *env) (string, error)) {
		out = append(out, attack{kindClaim, name, guard, try})
	}
	for name, spell := range spellings {
		add("no proof", "whoami by its MAC, "+name, func(ctx context.Context, e *env) (string, error) {
			m, err := e.machine(ctx, nil)
			if err != nil {
				return "", err
			}
			return e.claim(ctx, e.at(e.evil(), noAddr), m, spell(m.mac))
		})
	}
	for name, path := range map[string]string{"iPXE": "%s.ipxe", "GRUB": "grub/%s.cfg", "default": "default.ipxe", "by name": "machines/%s/control.sh"} {
		add("no proof", "after boot records by GETs, "+name, func(ctx context.Context, e *env) (string, error) {
			m, err := e.machine(ctx, nil)
			if err != nil {
				return "", err
			}
			a := e.at(e.evil(), noAddr)
			for _, as := range []string{strings.ReplaceAll(m.mac, ":", "-"), m.mac, m.id} {
				if _, _, err := a.file(ctx, strings.ReplaceAll(path, "%s", as)); err != nil {
					return "", err
				}
			}
			return e.claim(ctx, a, m, m.mac)
		})
	}
	add("only offered", "DISCOVER with its MAC, from the offered address", func(ctx context.Context, e *env) (string, error) {
		m, err := e.machine(ctx, nil)
		if err != nil {
			return "", err
		}
		addr, err := e.evil().offer(ctx, m.mac, false)
		if err != nil {
			return "", err
		}
		return e.claim(ctx, e.at(e.evil(), addr), m, m.mac)
	})
	add("only offered", "DISCOVER of one MAC for another of the machine", func(ctx context.Context, e *env) (string, error) {
		second := mac(2, e.count)
		m, err := e.machine(ctx, map[string]any{"HardwareAddrs": []string{mac(3, e.count), second}})
		if err != nil {
			return "", err
		}
		addr, err := e.evil().offer(ctx, second, false)
		if err != nil {
			return "", err
		}
		return e.claim(ctx, e.at(e.evil(), addr), m, mac(3, e.count-1))
	})
	add("only offered", "DISCOVER, then the script, then whoami", func(ctx context.Context, e *env) (string, error) {
		m, err := e.machine(ctx, nil)
		if err != nil {
			return "", err
		}
		addr, err := e.evil().offer(ctx, m.mac, false)
		if err != nil {
			return "", err
		}
		return e.claimByScript(ctx, e.at(e.evil(), addr), m)
	})
	for name, fields := range map[string]map[string]any{"in use": {"Pool": "default"}, "in WorkOrder mode": {"WorkOrderMode": true}} {
		for how, claim := range map[string]func(context.Context, *env, *actor, machine) (string, error){
			"whoami": func(ctx context.Context, e *env, a *actor, m machine) (string, error) {
				return e.claim(ctx, a, m, m.mac)
			},
			"ticket": func(ctx context.Context, e *env, a *actor, m machine) (string, error) {
				return e.claimByScript(ctx, a, m)
			},
		} {
			add("in use", "the lease of one "+name+", "+how, func(ctx context.Context, e *env) (string, error) {
				m, err := e.used(ctx, fields)
				if err != nil {
					return "", err
				}
				addr, err := e.evil().offer(ctx, m.mac, true)
				if err != nil {
					return "", err
				}
				return claim(ctx, e, e.at(e.evil(), addr), m)
			})
		}
	}
	return append(out, strangers()...)
}

// used is a machine that somebody uses.
func (e *env) used(ctx context.Context, how map[string]any) (machine, error) {
	m, err := e.machine(ctx, nil)
	if err != nil {
		return m, err
	}
	if how["WorkOrderMode"] == true {
		if _, err := e.admin.must(ctx, "PATCH", "machines/"+m.id, `[{"op":"add","path":"/WorkOrderMode","value":true}]`); err != nil {
			return m, err
		}
		return m, nil
	}
	_, err = e.admin.must(ctx, "POST", "pools/default/allocateMachines", `{"pool/machine-list":["`+m.id+`"]}`)
	if err != nil {
		return m, err
	}
	is, err := e.object(ctx, "machines/"+m.id)
	if err == nil && is["PoolStatus"] != "InUse" {
		err = fmt.Errorf("%s is %v, not InUse", m.name, is["PoolStatus"])
	}
	return m, err
}

// strangers are those who come from another address than the machine, which is
// there or holds a lease.
func strangers() []attack {
	var out []attack
	for name, from := range map[string]func(ctx context.Context, e *env) (netip.Addr, error){
		"a free address":          func(context.Context, *env) (netip.Addr, error) { return noAddr, nil },
		"another machine's lease": func(ctx context.Context, e *env) (netip.Addr, error) { return e.leaseOfOwn(ctx) },
		"a lease of no machine": func(ctx context.Context, e *env) (netip.Addr, error) {
			e.count++
			return e.evil().offer(ctx, mac(4, e.count), true)
		},
	} {
		out = append(out,
			attack{kindClaim, "stolen: a ticket that its machine uses, from " + name, "ticket of another", func(ctx context.Context, e *env) (string, error) {
				m, a, ticket, err := e.ticketed(ctx)
				if err != nil {
					return "", err
				}
				if how, err := a.speaks(ctx, ticket, m.id); err != nil || how == "" {
					return "", fmt.Errorf("the ticket does not serve its machine: %v", err)
				}
				addr, err := from(ctx, e)
				if err != nil {
					return "", err
				}
				return e.at(e.evil(), addr).speaks(ctx, ticket, m.id)
			}},
			attack{kindClaim, "stolen: a ticket that nobody has used, from " + name, "another's address", func(ctx context.Context, e *env) (string, error) {
				m, _, ticket, err := e.ticketed(ctx)
				if err != nil {
					return "", err
				}
				addr, err := from(ctx, e)
				if err != nil {
					return "", err
				}
				return e.at(e.evil(), addr).speaks(ctx, ticket, m.id)
			}},
			attack{kindClaim, "its boot scripts, from " + name, "its scripts", func(ctx context.Context, e *env) (string, error) {
				m, _, _, err := e.ticketed(ctx)
				if err != nil {
					return "", err
				}
				addr, err := from(ctx, e)
				if err != nil {
					return "", err
				}
				a := e.at(e.evil(), addr)
				for _, path := range []string{"machines/" + m.id + "/control.sh", "//machines/" + m.id + "/control.sh", "machines/%2e/" + m.id + "/control.sh", "machines/" + strings.ToUpper(m.id) + "/control.sh"} {
					_, text, err := a.file(ctx, path)
					if err != nil {
						return "", err
					}
					if t := bearer.FindStringSubmatch(text); t != nil {
						return "a token of it in " + path, nil
					}
				}
				return "", nil
			}})
	}
	return out
}

var bearer = regexp.MustCompile(`"Token": "([^"]+)"`)

// leaseOfOwn is an address leased to a machine of the attacker's own.
func (e *env) leaseOfOwn(ctx context.Context) (netip.Addr, error) {
	m, err := e.machine(ctx, nil)
	if err != nil {
		return noAddr, err
	}
	return e.evil().offer(ctx, m.mac, true)
}

// ticketed is a machine that has fetched its control.sh.
func (e *env) ticketed(ctx context.Context) (machine, *actor, string, error) {
	m, err := e.machine(ctx, nil)
	if err != nil {
		return m, nil, "", err
	}
	addr, err := e.victim().offer(ctx, m.mac, true)
	if err != nil {
		return m, nil, "", err
	}
	a := e.at(e.victim(), addr)
	ticket, err := a.ticket(ctx, m)
	if err == nil && ticket == "" {
		err = fmt.Errorf("%s got no control.sh at its own address %s", m.name, addr)
	}
	return m, a, ticket, err
}

func (a *actor) ticket(ctx context.Context, m machine) (string, error) {
	_, text, err := a.file(ctx, "machines/"+m.id+"/control.sh")
	if t := bearer.FindStringSubmatch(text); t != nil {
		return t[1], err
	}
	return "", err
}

// claim says to be the machine with a MAC, first without and then with the
// tokens that anybody gets.
func (e *env) claim(ctx context.Context, a *actor, m machine, mac string) (string, error) {
	tokens := []string{""}
	if t, err := a.anybodys(ctx); err != nil {
		return "", err
	} else if t != "" {
		tokens = append(tokens, t)
	}
	for _, t := range tokens {
		id, token, err := a.with(t).whoami(ctx, mac)
		if err != nil || id != m.id {
			continue // another machine was made of it, which is the attacker's own
		}
		if how, err := a.speaks(ctx, token, m.id); how != "" || err != nil {
			return how, err
		}
	}
	return "", nil
}

func (e *env) claimByScript(ctx context.Context, a *actor, m machine) (string, error) {
	t, err := a.ticket(ctx, m)
	if err != nil || t == "" {
		return "", err
	}
	if how, err := a.speaks(ctx, t, m.id); how != "" || err != nil {
		return how, err
	}
	_, token, err := a.with(t).whoami(ctx, m.mac)
	if err != nil {
		return "", err
	}
	return a.speaks(ctx, token, m.id)
}

var joinToken = regexp.MustCompile(`JOIN_TOKEN:-([^}]+)}`)

// anybodys is the token that join-up.sh gives to whoever asks.
func (a *actor) anybodys(ctx context.Context) (string, error) {
	_, text, err := a.file(ctx, "machines/join-up.sh")
	if t := joinToken.FindStringSubmatch(text); t != nil {
		return t[1], err
	}
	return "", err
}

// spellings of a MAC that the server takes for one.
var spellings = map[string]func(string) string{
	"as it is":      func(m string) string { return m },
	"upper case":    strings.ToUpper,
	"with hyphens":  func(m string) string { return strings.ReplaceAll(m, ":", "-") },
	"without any":   func(m string) string { return strings.ReplaceAll(m, ":", "") },
	"dotted":        func(m string) string { b := strings.ReplaceAll(m, ":", ""); return b[:4] + "." + b[4:8] + "." + b[8:] },
	"with spaces":   func(m string) string { return " " + m + " " },
	"hyphens, type": func(m string) string { return "01-" + strings.ReplaceAll(m, ":", "-") },
}
