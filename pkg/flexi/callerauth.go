package flexi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// authorize adds the credentials that Auth names in callback/auths.
func (c call) authorize(req *http.Request) error {
	names := c.Auths
	if c.Auth != "" {
		names = append([]string{c.Auth}, names...)
	}
	if len(names) == 0 {
		return nil
	}
	if c.own {
		return refuse(c.action, "is set on the object itself or its work order, and so gets no credentials: put it into a profile")
	}
	v, ok, err := c.safe.Compose(ParamAuths)
	if err != nil || !ok {
		return refuse(c.action, "its Auth is not in param "+ParamAuths)
	}
	all, _ := v.(map[string]any)
	for _, name := range names {
		auth, _ := all[name].(map[string]any)
		field := func(key string) string { s, _ := auth[key].(string); return s }
		switch field("AuthType") {
		case "basic":
			req.SetBasicAuth(field("Username"), field("Password"))
		case "bearer", "bearer-static":
			req.Header.Set("Authorization", "Bearer "+field("BearerToken"))
		case "json-token":
			token, err := c.token(req.Context(), auth)
			if err != nil {
				return err
			}
			req.Header.Set("Authorization", "Bearer "+token)
		default:
			return refuse(c.action, "Auth "+name+" must be in "+ParamAuths+" with AuthType basic, bearer or json-token")
		}
	}
	return nil
}

// tokenError is that of a service which gives tokens: it may do better later.
type tokenError struct{ error }

func (t tokenError) Unwrap() error { return t.error }

// token asks a service for a token, anew for each try, so that none is stored
// and how long it is good (DurationField) does not matter.
func (c call) token(ctx context.Context, auth map[string]any) (string, error) {
	field := func(key, otherwise string) string {
		if s, _ := auth[key].(string); s != "" {
			return s
		}
		return otherwise
	}
	u, err := c.address(ctx, field("Url", ""))
	if err != nil {
		return "", err
	}
	data, kind, err := c.tokenData(ctx, auth["Data"])
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, field("Method", http.MethodPost), u.String(), bytes.NewReader(data))
	if err != nil {
		return "", refuse(c.action, "Method or Url of its Auth cannot be used")
	}
	if req.Header.Set("Accept", "application/json"); data != nil {
		req.Header.Set("Content-Type", kind)
	}
	body, _, err := c.converse(req)
	if err != nil {
		return "", tokenError{fmt.Errorf("get a token: %w", err)}
	}
	var reply any
	if err := json.Unmarshal(body, &reply); err != nil {
		return "", tokenError{fmt.Errorf("get a token: the reply of %s is not JSON", u.Host)}
	}
	name := field("TokenField", "token")
	for part := range strings.SplitSeq(name, ".") {
		m, _ := reply.(map[string]any)
		reply = m[part]
	}
	if token, _ := reply.(string); token != "" {
		return token, nil
	}
	return "", tokenError{fmt.Errorf("get a token: the reply of %s has no text in field %s", u.Host, name)}
}

// tokenData is what is sent for a token: JSON, or a form's text.
func (c call) tokenData(ctx context.Context, v any) (data []byte, kind string, err error) {
	text, isText := v.(string)
	switch {
	case v == nil:
		return nil, "", nil
	case !isText:
		data, err = json.Marshal(v)
		return data, "application/json", err
	}
	if text, err = c.fill(ctx, text); err != nil {
		return nil, "", err
	}
	if json.Valid([]byte(text)) {
		return []byte(text), "application/json", nil
	}
	return []byte(text), "application/x-www-form-urlencoded", nil
}
