//go:build linux

package plugin_test

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/plugin"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

func TestProgramsThatAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 20*time.Second)
	hasty := newRig(t, 0, 300*time.Millisecond)
	for how, want := range map[string]string{
		"garbage": "plugin_providers/garbage: define did not print a plugin provider as JSON: plugin_providers: invalid character 'h' looking for beginning of value",
		"huge":    "plugin_providers/huge: provider huge: define printed more than 12582912 bytes",
		"broken":  "plugin_providers/broken: provider broken: define failed: exit status 3: no license",
		"old":     "plugin_providers/old: the program speaks version 3 of the plugin protocol, this server only 4: get a release made for Digital Rebar v4",
		"other":   `plugin_providers/other: the program calls itself "else": upload it under that name`,
		"stuck":   "plugin_providers/stuck: provider stuck: define failed: it did not end within 300ms: ",
	} {
		x := r
		if how == "stuck" {
			x = hasty
		}
		_, err := x.sup.Upload(t.Context(), how, program(how))
		require.EqualError(t, err, want)
		assert.Equal(t, resource.Invalid, resource.CodeOf(err))
		left, err := x.blobs.List(t.Context(), "")
		require.NoError(t, err)
		assert.Empty(t, left, how)
		assert.Zero(t, api.PluginProviders.Len(x.db.View()))
	}
	_, err := r.sup.Upload(t.Context(), "text", strings.NewReader("no program\n"))
	assert.ErrorContains(t, err, "plugin_providers/text: provider text: define failed: exit status 1: execute the program of provider text: exec format error")
}

func TestReadIsStrict(t *testing.T) {
	t.Parallel()
	for says, want := range map[string]string{
		`{"Name":"p","PluginVersion":4,"Colour":"red"}`:                               `unknown field "Colour"`,
		`{"Name":"p","PluginVersion":4} {}`:                                           "more than one JSON value",
		`{"Name":"p","PluginVersion":4,"AvailableActions":[{"Command":"a b"}]}`:       `an action is called "a b"`,
		`{"Name":"p","PluginVersion":4,"Content":"sections: {machines: {a: {}}}"}`:    "its content: contents/p: section machines",
		`{"Name":"p","PluginVersion":4,"Content":"sections: [1"}`:                     "its content: contents/p:",
		`{"Name":"p","PluginVersion":4,"AvailableActions":"` + "x" + `","Version":1}`: "cannot hold a",
	} {
		_, err := plugin.Read("p", []byte(says))
		assert.ErrorContains(t, err, want)
	}
}

func TestAProviderBringsContentFilesAndPlugin(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 0)
	r.run(t)
	at := r.db.Seq()
	r.upload(t, "auto")
	v := r.db.View()
	pack, err := api.ContentPacks.Get(v, "auto")
	require.NoError(t, err)
	assert.Equal(t, "plugin v1.0.0", pack.Meta.Type+" "+pack.Meta.Version)
	task, err := api.Tasks.Get(v, "auto-task")
	require.NoError(t, err)
	assert.Equal(t, "auto", task.Bundle)
	file, err := r.blobs.Open("files/plugin_providers/auto/tool")
	require.NoError(t, err)
	text, err := io.ReadAll(file)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	assert.Equal(t, "tool of auto", string(text))
	assert.Equal(t, 1, api.Files.Len(v), "links are left out")
	r.began(t, at, "auto")
	require.ErrorContains(t, r.db.Update(t.Context(), func(tx *resource.Tx) error { return api.ContentPacks.Delete(tx, "auto") }), "plugin provider auto")

	at = r.db.Seq()
	require.NoError(t, r.sup.Remove(t.Context(), "auto"))
	r.event(t, at, func(e resource.Event) bool { return e.Type == "plugins" && e.Action == "stopped" && e.Key == "auto" })
	v = r.db.View()
	assert.False(t, api.ContentPacks.Has(v, "auto"))
	assert.False(t, api.Tasks.Has(v, "auto-task"))
	assert.Zero(t, api.Files.Len(v))
	left, err := r.blobs.List(t.Context(), "")
	require.NoError(t, err)
	assert.Empty(t, left)
	p, err := api.Plugins.Get(v, "auto")
	require.NoError(t, err)
	assert.Equal(t, []string{`plugin_provider "auto" does not exist`}, p.Errors)
}

func TestFilesThatAreLinksAreNotServed(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 0)
	_, err := r.sup.Upload(t.Context(), "linker", program("linker"))
	require.ErrorContains(t, err, "it is loaded, but its files are not: file ")
	require.ErrorContains(t, err, "is a link, or not the program's own")
	assert.Zero(t, api.Files.Len(r.db.View()))
}

func TestContentIsThereAfterARestart(t *testing.T) {
	t.Parallel()
	s := mem.New(mem.Config{})
	db := openDB(t, s)
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		return api.PluginProviders.Put(tx, &api.PluginProvider{Name: "p", Version: "v1", Content: fmt.Sprintf(fakeContent, "p"), Program: "x"})
	}))
	db = openDB(t, s)
	task, err := api.Tasks.Get(db.View(), "p-task")
	require.NoError(t, err)
	assert.Equal(t, "p", task.Bundle)
	def, err := api.PluginProviders.Get(db.View(), "p")
	require.NoError(t, err)
	assert.Equal(t, "x", def.Program)
}

func TestProgramIsNotShown(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 0)
	r.upload(t, "good")
	o, err := api.PluginProviders.Lookup(r.db.View(), "good")
	require.NoError(t, err)
	var shown map[string]any
	require.NoError(t, json.Unmarshal(o.JSON, &shown))
	assert.NotContains(t, shown, "Program")
	f, err := r.sup.Program("good")
	require.NoError(t, err)
	defer f.Close()
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	assert.Contains(t, string(data), envFake+"=good")
}
