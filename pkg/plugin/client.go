//go:build linux

package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"drpd/pkg/resource"
)

const (
	maxAnswer   = 16 << 20 // bytes of an answer
	stopLimit   = 5 * time.Second
	configLimit = time.Minute
	eventLimit  = 10 * time.Second
)

// Error is what a plugin answers when it refuses, with DRP's names.
type Error struct {
	Model    string
	Key      string
	Type     string
	Messages []string
	Code     int // an HTTP status
}

func (e *Error) Error() string { return strings.Join(e.Messages, "; ") }

// post calls the plugin. An answer with a status of an error is an *Error.
func (p *instance) post(ctx context.Context, what string, body any) (json.RawMessage, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("call %s of plugin %s: %w", what, p.plugin, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://plugin/api-plugin/v4/"+what, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	r, err := p.http.Do(req)
	if err != nil {
		return nil, resource.Errorf(resource.Unavailable, "plugins", p.plugin, "%s was not answered: %v", what, err)
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, resource.Errorf(resource.Unavailable, "plugins", p.plugin, "the answer to %s was cut off: %v", what, err)
	case len(answer) > maxAnswer:
		return nil, p.refusal(what, http.StatusBadGateway, "answered with more than %d bytes", maxAnswer)
	case r.StatusCode >= http.StatusBadRequest:
		return nil, p.failure(what, r.StatusCode, answer)
	case !json.Valid(answer):
		return nil, p.refusal(what, http.StatusBadGateway, "did not answer with JSON")
	}
	return answer, nil
}

func (p *instance) refusal(what string, status int, format string, args ...any) *Error {
	return &Error{Model: "plugins", Key: p.plugin, Type: what, Code: status, Messages: []string{fmt.Sprintf(format, args...)}}
}

// failure reads the error that a plugin answered with. The kit packs an error
// into a message of another.
func (p *instance) failure(what string, status int, answer []byte) *Error {
	e := &Error{}
	if json.Unmarshal(answer, e) != nil || len(e.Messages) == 0 {
		return p.refusal(what, status, "answered with status %d", status)
	}
	e.Code = status
	inner := &Error{}
	if len(e.Messages) == 1 && e.Model == "" && json.Unmarshal([]byte(e.Messages[0]), inner) == nil && len(inner.Messages) > 0 {
		inner.Code = status
		return inner
	}
	return e
}

// configure tells the plugin its params.
func (p *instance) configure(ctx context.Context, want spec) error {
	ctx, cancel := context.WithTimeout(ctx, configLimit)
	defer cancel()
	_, err := p.post(ctx, "config", want.params)
	if err != nil {
		return fmt.Errorf("it does not accept its params: %w", err)
	}
	return nil
}
