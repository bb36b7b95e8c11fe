package rest_test

import (
	"bytes"
	"context"
	"io"
	"mime/multipart"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// shelf keeps programs in a folder.
type shelf struct {
	dir string
	db  *resource.DB
}

func (s *shelf) Upload(ctx context.Context, name string, in io.Reader) (int64, error) {
	data, err := io.ReadAll(in)
	if err != nil {
		return 0, err
	}
	return int64(len(data)), s.db.Update(ctx, func(tx *resource.Tx) error {
		return api.PluginProviders.Put(tx, &api.PluginProvider{Name: name, Program: name})
	})
}

func (s *shelf) Remove(ctx context.Context, name string) error {
	return s.db.Update(ctx, func(tx *resource.Tx) error { return api.PluginProviders.Delete(tx, name) })
}

func (s *shelf) Program(name string) (*os.File, error) { return os.Open(filepath.Join(s.dir, name)) }

func (r *rig) send(t *testing.T, token, method, path, contentType string, body []byte) (int, string) {
	t.Helper()
	p := r.as(t, token, method, "/api/v3"+path, string(body), "Content-Type", contentType)
	return p.status, strings.TrimSpace(p.body)
}

func TestProgramsOfPlugins(t *testing.T) {
	t.Parallel()
	s := &shelf{dir: t.TempDir()}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "ring"), []byte("program"), 0o600))
	r := newRig(t, func(c *rest.Config) { c.Providers, s.db = s, c.DB })
	tok := people(t, r, map[string][]api.Claim{"reader": one("plugin_providers", "get,list", "*"), "owner": one("plugin_providers", "*", "*"),
		"all": one("*", "*", "*")})
	const octets = "application/octet-stream"
	status, text := r.send(t, tok["reader"], "POST", "/plugin_providers/ring", octets, []byte("x"))
	assert.Equal(t, 403, status, text)
	status, text = r.send(t, tok["owner"], "POST", "/plugin_providers/ring", octets, []byte("x"))
	assert.Equal(t, 403, status)
	assert.Contains(t, text, "owner may not upload it: a plugin's process may do more than owner may do")
	status, text = r.send(t, tok["all"], "POST", "/plugin_providers/ring", octets, []byte("program"))
	assert.Equal(t, 201, status)
	assert.JSONEq(t, `{"path":"ring","size":7}`, text)
	assert.NotEmpty(t, r.auth.Records(10, nil), "it is audited")
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "x")
	require.NoError(t, err)
	_, _ = part.Write([]byte("more"))
	require.NoError(t, w.Close())
	status, text = r.send(t, tok["all"], "POST", "/plugin_providers/bell", w.FormDataContentType(), form.Bytes())
	assert.Equal(t, 201, status, text)
	status, text = r.send(t, tok["all"], "POST", "/plugin_providers/4bell", octets, nil)
	assert.Equal(t, 400, status, text)
	status, text = r.send(t, tok["all"], "POST", "/plugin_providers/..%2fbell", octets, nil)
	assert.Equal(t, 400, status, text)
	status, text = r.send(t, tok["reader"], "GET", "/plugin_providers/ring/binary", octets, nil)
	assert.Equal(t, 200, status)
	assert.Equal(t, "program", text)
	status, text = r.send(t, tok["reader"], "GET", "/plugin_providers/ring", octets, nil)
	assert.Equal(t, 200, status)
	assert.NotContains(t, text, "Program")
	status, _ = r.send(t, tok["reader"], "DELETE", "/plugin_providers/ring", octets, nil)
	assert.Equal(t, 403, status)
	status, _ = r.send(t, tok["owner"], "DELETE", "/plugin_providers/ring", octets, nil)
	assert.Equal(t, 200, status)
	status, _ = r.send(t, tok["owner"], "DELETE", "/plugin_providers/ring", octets, nil)
	assert.Equal(t, 404, status)
}

func TestPluginsSwitchedOff(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	status, text := r.send(t, r.root, "POST", "/plugin_providers/ring", "application/octet-stream", []byte("x"))
	assert.Equal(t, 501, status)
	assert.Contains(t, text, "this server does not offer plugins: they are switched off")
}
