package cli

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sampleCatalog is a folder with two packs, one of which needs the other, a
// program, and what lists them.
func sampleCatalog(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	put := func(name, text string) string {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
	}
	tools := put("tools.json", `{"meta":{"Name":"tools","Version":"v1.2.0","Prerequisites":"base: >=1.0.0, BasicStore"},"sections":{"tasks":{"t":{"Name":"t"}}}}`)
	base := put("base.json", `{"meta":{"Name":"base","Version":"v1.0.0"},"sections":{"params":{"p":{"Name":"p"}}}}`)
	put("ring/arm64/linux/ring", "program")
	item := func(name, version, kind, source, sum string) map[string]any {
		return map[string]any{"Id": name + "-" + version, "Name": name, "Version": version, "ContentType": kind, "Source": source, "Shasum256": map[string]string{"any/any": sum}}
	}
	data, err := json.Marshal(map[string]any{"meta": map[string]any{"Name": "cat"}, "sections": map[string]any{"catalog_items": map[string]any{
		"a": item("tools", "stable", "ContentPackage", "tools.json", tools),
		"b": item("tools", "tip", "ContentPackage", "tools.json", "00"),
		"c": item("base", "stable", "ContentPackage", "base.json", base),
		"d": item("ring", "stable", "PluginProvider", "ring", ""),
	}}})
	require.NoError(t, err)
	put("catalog.json", string(data))
	return dir
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	dir := sampleCatalog(t)
	web := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(web.Close)
	r.fails(t, exitUsage, "no catalog is named", "catalog", "items")
	r.fails(t, exitUsage, "no such file", "catalog", "items", "-c", dir+"/none.json")
	for _, from := range []string{dir + "/catalog.json", web.URL + "/catalog.json"} {
		assert.JSONEq(t, `{"base":{"Type":"ContentPackage","Versions":["stable"]},"ring":{"Type":"PluginProvider","Versions":["stable"]},
			"tools":{"Type":"ContentPackage","Versions":["stable","tip"]}}`, r.ok(t, "catalog", "items", "-c", from))
		assert.JSONEq(t, `{"Type":"ContentPackage","Versions":["stable","tip"]}`, r.ok(t, "catalog", "item", "show", "tools", "-c", from))
		assert.Contains(t, r.ok(t, "catalog", "show", "-c", from), `"Id": "tools-tip"`)
		r.fails(t, exitNotFound, "there is no nothing", "catalog", "item", "show", "nothing", "-c", from)
		r.fails(t, exitNotFound, "it has stable, tip", "catalog", "item", "download", "tools", "--version", "v9", "-c", from)
		r.fails(t, exitOther, "the catalog says 00", "catalog", "item", "install", "tools", "--version", "tip", "-c", from)
		r.fails(t, exitUsage, "only content packs are installed", "catalog", "item", "install", "ring", "-c", from)
		file := filepath.Join(t.TempDir(), "got")
		r.ok(t, "catalog", "item", "download", "ring", "to", file, "--arch", "arm64", "--os", "linux", "-c", from)
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, "program", string(data))
		r.run(t, "contents", "destroy", "tools")
		r.run(t, "contents", "destroy", "base")
		r.ok(t, "catalog", "item", "install", "tools", "-c", from)
		assert.Contains(t, r.ok(t, "contents", "show", "base"), `"v1.0.0"`, "what tools needs")
		assert.Contains(t, r.ok(t, "contents", "show", "tools"), `"v1.2.0"`)
	}
}

// TestEnrollSaysThatServersAreAlone: one server has no replicas.
func TestEnrollSaysThatServersAreAlone(t *testing.T) {
	t.Parallel()
	newRig(t, 0).fails(t, exitRefused, "this server is standalone", "system", "ha", "enroll", "https://other:8092", "user", "password")
}
