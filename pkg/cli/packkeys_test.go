package cli

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/seal"
)

func TestPackKeys(t *testing.T) {
	r := newRig(t, 0) // not parallel: bundle works on the current folder
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{"meta.yaml": "Name: mine\nVersion: v1.0.0\n", "params/pw.yaml": "Name: pw\nSecure: true\n",
		"profiles/p.yaml": "Name: p\nParams: {pw: planted-secret, plain: seen}\n"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	out := t.TempDir()
	file, key := filepath.Join(out, "pack.json"), filepath.Join(out, "pack.key")
	r.ok(t, "contents", "bundle", file, "--key", key)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.NotContains(t, string(data), "planted-secret")
	assert.Contains(t, string(data), "seen")
	st, err := os.Stat(key)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), st.Mode().Perm())

	pack := func() *api.ContentPack {
		p := &api.ContentPack{}
		require.NoError(t, json.Unmarshal(data, p))
		return p
	}
	opened := pack()
	require.NoError(t, openPack(opened, key))
	assert.Equal(t, map[string]any{"pw": "planted-secret", "plain": "seen"}, opened.Sections["profiles"]["p"].(map[string]any)["Params"])
	other := filepath.Join(out, "other.key")
	require.NoError(t, os.WriteFile(other, []byte(`"`+base64.StdEncoding.EncodeToString(make([]byte, seal.KeySize))+`"`), 0o600))
	r.fails(t, exitUsage, "does not open with the key in "+other, "contents", "upload", file, "--key", other)
	r.fails(t, exitUsage, "holds no key", "contents", "upload", file, "--key", file)
	r.fails(t, exitUsage, "no such file", "contents", "upload", file, "--key", filepath.Join(out, "none"))
	for _, verb := range [][]string{{"upload", file}, {"update", "mine", file}} {
		r.ok(t, append(append([]string{"contents"}, verb...), "--key", key)...)
		is := r.object(t, "profiles", "show", "p")["Params"].(map[string]any)["pw"]
		_, ok := sealed(is)
		assert.True(t, ok, verb)
		assert.NotEqual(t, pack().Sections["profiles"]["p"].(map[string]any)["Params"].(map[string]any)["pw"], is, "it is sealed anew")
	}
	// This server tells nobody what it sealed: no key file may claim otherwise.
	r.fails(t, exitOther, "does not offer aggregate or decode", "contents", "show", "mine", "--key", key)
	r.fails(t, exitOther, "does not offer aggregate or decode", "contents", "bundlize", "x.yaml", "Name=x", "profiles:p", "--key", key)
	assert.Error(t, sealPack(opened, "", map[string]bool{}, nil), "secrets without a place for their key")
}

// TestPackKeysOfTheServer: what a server sealed is asked for in the plain.
func TestPackKeysOfTheServer(t *testing.T) {
	t.Parallel()
	public, private, err := seal.NewKeyPair()
	require.NoError(t, err)
	d, err := seal.Seal(public, []byte(`"hush"`))
	require.NoError(t, err)
	var v any
	require.NoError(t, remarshal(d, &v))
	pack := &api.ContentPack{Sections: map[string]map[string]any{"profiles": {"p": map[string]any{"Params": map[string]any{"pw": v}}}}}
	key := filepath.Join(t.TempDir(), "k")
	require.NoError(t, sealPack(pack, key, map[string]bool{}, func(p packParams) (map[string]any, error) {
		assert.Equal(t, "profiles/p", p.String())
		return map[string]any{"pw": "hush"}, nil
	}))
	now, err := readKey(key)
	require.NoError(t, err)
	assert.NotEqual(t, private, now)
	require.NoError(t, openPack(pack, key))
	assert.Equal(t, map[string]any{"pw": "hush"}, pack.Sections["profiles"]["p"].(map[string]any)["Params"])
}
