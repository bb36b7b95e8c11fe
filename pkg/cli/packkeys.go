package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"

	"drpd/pkg/api"
	"drpd/pkg/seal"
)

// Secure params in a pack's file are sealed to a key pair made for that file:
// --key says where its private half is, as in Digital Rebar's client. A server
// has pairs of its own, so what it sealed is good for nobody else.

const maxKeyFile = 4 << 10

// packParams are the params of one object of a pack.
type packParams struct {
	kind, key string
	values    map[string]any
}

func (p packParams) String() string { return p.kind + "/" + p.key }

func paramsIn(pack *api.ContentPack) (out []packParams) {
	for _, kind := range sortedKeys(pack.Sections) {
		for _, key := range sortedKeys(pack.Sections[kind]) {
			fields, _ := plainMap(pack.Sections[kind][key])
			if values, ok := plainMap(fields["Params"]); ok {
				out = append(out, packParams{kind, key, values})
			}
		}
	}
	return out
}

func plainMap(v any) (map[string]any, bool) {
	m, ok := v.(map[string]any)
	return m, ok
}

// sealed says whether a value is sealed, to whomever.
func sealed(v any) (d seal.SecureData, ok bool) {
	m, ok := plainMap(v)
	if !ok || len(m) != 3 || remarshal(m, &d) != nil {
		return d, false
	}
	return d, len(d.Key) == seal.KeySize && len(d.Payload) > 0
}

// openPack puts the plain values in place of those that were sealed with a
// file's key; the server seals them anew.
func openPack(pack *api.ContentPack, file string) error {
	if file == "" {
		return nil
	}
	private, err := readKey(file)
	if err != nil {
		return err
	}
	for _, p := range paramsIn(pack) {
		for _, name := range sortedKeys(p.values) {
			d, ok := sealed(p.values[name])
			if !ok {
				continue
			}
			plain, err := seal.Open(private, d)
			if err != nil {
				return failf(exitUsage, "param %s of %s does not open with the key in %s: it needs the file that --key wrote with this pack", name, p, file)
			}
			var v any
			if err := json.Unmarshal(plain, &v); err != nil {
				return failf(exitUsage, "param %s of %s holds no JSON", name, p)
			}
			p.values[name] = v
		}
	}
	return nil
}

func readKey(file string) (private seal.Key, err error) {
	st, err := os.Stat(file)
	if err != nil {
		return private, failf(exitUsage, "read key: %v", err)
	}
	if st.Size() > maxKeyFile {
		return private, failf(exitUsage, "read key: %s is too large to be one", file)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return private, failf(exitUsage, "read key: %v", err)
	}
	var b []byte
	if json.Unmarshal(data, &b) != nil || len(b) != seal.KeySize {
		return private, failf(exitUsage, "%s holds no key: %d bytes as a JSON string in base64", file, seal.KeySize)
	}
	return seal.Key(b), nil
}

// sealPack seals the values of secure params to a new key and saves that. plain
// gives the values of an object as they are; nil: they are in the pack.
func sealPack(pack *api.ContentPack, file string, secure map[string]bool, plain func(p packParams) (map[string]any, error)) error {
	public, private, err := seal.NewKeyPair()
	if err != nil {
		return err
	}
	for n := range pack.Sections["params"] {
		if def, _ := plainMap(pack.Sections["params"][n]); def["Secure"] == true {
			secure[n] = true
		}
	}
	count := 0
	for _, p := range paramsIn(pack) {
		n, err := sealParams(p, public, secure, plain)
		if err != nil {
			return err
		}
		count += n
	}
	if count == 0 {
		return nil
	}
	if file == "" {
		return &failure{code: exitUsage, what: fmt.Sprintf("the pack holds %d values of secure params, and there is nowhere to save their key", count), fix: "add --key=<file>"}
	}
	data, err := json.Marshal(private[:])
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("save key: %w", err)
	}
	return nil
}

func sealParams(p packParams, public seal.Key, secure map[string]bool, plain func(p packParams) (map[string]any, error)) (count int, err error) {
	var known map[string]any
	for _, name := range sortedKeys(p.values) {
		v := p.values[name]
		_, already := sealed(v)
		if !already && !secure[name] {
			continue
		}
		if already && plain != nil {
			if known == nil {
				if known, err = plain(p); err != nil {
					return count, err
				}
			}
			v = known[name]
			if _, already = sealed(v); already || v == nil {
				return count, failf(exitDenied, "the server does not tell param %s of %s in the plain: it takes the right getSecure", name, p)
			}
		}
		count++
		if already { // to whom, only its maker knows
			continue
		}
		data, err := json.Marshal(v)
		if err != nil {
			return count, fmt.Errorf("param %s of %s: %w", name, p, err)
		}
		d, err := seal.Seal(public, data)
		if err != nil {
			return count, fmt.Errorf("param %s of %s: %w", name, p, err)
		}
		var out any
		if err := remarshal(d, &out); err != nil {
			return count, err
		}
		p.values[name] = out
	}
	return count, nil
}

// sealFromServer is sealPack for objects of the server.
func (g *group) sealFromServer(ctx context.Context, pack *api.ContentPack, file string) error {
	var defs []struct{ Name string }
	if err := g.conn().get(ctx, "/params", url.Values{"Secure": {"true"}}, &defs); err != nil {
		return about(err, "list secure params")
	}
	secure := map[string]bool{}
	for _, d := range defs {
		secure[d.Name] = true
	}
	return sealPack(pack, file, secure, func(p packParams) (map[string]any, error) {
		var out map[string]any
		err := g.conn().get(ctx, at(p.kind, p.key, "params"), url.Values{"decode": {"true"}}, &out)
		return out, about(err, "read the secure params of %s", p)
	})
}
