package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
)

const firstUser = "rocketskates"

var noAddr netip.Addr

// actor calls the server from one address, with a token, a login or neither.
type actor struct {
	e                     *env
	from                  netip.Addr
	http                  *http.Client
	token, user, password string
}

// at is an actor of a host without credentials.
func (e *env) at(h *host, from netip.Addr) *actor {
	if !from.IsValid() {
		from = h.static
	}
	return &actor{e: e, from: from, http: through(h.namespace, from)}
}

func (a *actor) with(token string) *actor { c := *a; c.token = token; return &c }

const maxBody = 4 << 20

// call makes one request of the API; body is JSON text, or what becomes it.
func (a *actor) call(ctx context.Context, method, path string, body any) (int, string, error) {
	var text string
	switch b := body.(type) {
	case nil:
	case string:
		text = b
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return 0, "", err
		}
		text = string(data)
	}
	return a.raw(ctx, method, "https://"+serverAddr+":8092/api/v3/"+path, text)
}

func (a *actor) raw(ctx context.Context, method, url, body string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	} else if a.user != "" {
		req.SetBasicAuth(a.user, a.password)
	}
	res, err := a.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	return res.StatusCode, string(data), err
}

// login gets a token for a user with a password, so that each call does not hash it.
func (a *actor) login(ctx context.Context, user, password string) (*actor, error) {
	c := *a
	c.user, c.password = user, password
	text, err := c.must(ctx, http.MethodGet, "users/"+user+"/token", nil)
	if err != nil {
		return nil, err
	}
	var out struct{ Token string }
	err = json.Unmarshal([]byte(text), &out)
	return c.with(out.Token), err
}

// must is a call that the suite itself needs.
func (a *actor) must(ctx context.Context, method, path string, body any) (string, error) {
	code, text, err := a.call(ctx, method, path, body)
	if err == nil && code >= 300 {
		err = fmt.Errorf("%s %s: %d %.300s", method, path, code, text)
	}
	return text, err
}

// file reads a boot file.
func (a *actor) file(ctx context.Context, path string) (int, string, error) {
	return a.raw(ctx, http.MethodGet, "http://"+serverAddr+":8091/"+path, "")
}

// object reads what an object says now, as the first user; nil: it is not there.
func (e *env) object(ctx context.Context, path string) (map[string]any, error) {
	code, text, err := e.admin.call(ctx, http.MethodGet, path, nil)
	if err != nil || code == http.StatusNotFound {
		return nil, err
	}
	if code != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %d %.300s", path, code, text)
	}
	var out map[string]any
	return out, json.Unmarshal([]byte(text), &out)
}

// whoami asks to be taken for who has a MAC, and says whose token it got.
func (a *actor) whoami(ctx context.Context, mac string) (id, token string, err error) {
	_, text, err := a.call(ctx, http.MethodPost, "whoami", map[string]any{"MacAddrs": []string{mac}, "Env": "discovery"})
	if err != nil {
		return "", "", err
	}
	var out struct{ Result struct{ Uuid, Token string } }
	_ = json.Unmarshal([]byte(text), &out) // an error reply has neither
	return out.Result.Uuid, out.Result.Token, nil
}

// speaks says whether a token is good to write of a machine: what it writes is
// there.
func (a *actor) speaks(ctx context.Context, token, id string) (string, error) {
	if token == "" {
		return "", nil
	}
	mark := randomText()
	code, _, err := a.with(token).call(ctx, http.MethodPatch, "machines/"+id,
		[]map[string]any{{"op": "add", "path": "/Description", "value": mark}})
	if err != nil {
		return "", err
	}
	m, err := a.e.object(ctx, "machines/"+id)
	if err != nil || m == nil || m["Description"] != mark {
		return "", err
	}
	return fmt.Sprintf("its token wrote of %v (%d)", m["Name"], code), nil
}

func randomText() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
