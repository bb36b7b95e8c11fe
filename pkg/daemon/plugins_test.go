package daemon_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/client"
	"drpd/pkg/daemon"
	"drpd/pkg/rest"
)

// who is a provider's program that tells what it may do.
const who = `#!/bin/sh
if [ "$1" = define ]; then
  printf '{"Name":"who","Version":"v1.0.0","PluginVersion":4,"AutoStart":true,"Content":"sections: {tasks: {who-task: {}}}","Documentation":"%s"}' \
    "user $(id -u), groups $(id -G), files $(ulimit -n), data $(ulimit -d), $(grep NoNewPrivs /proc/self/status | tr -d '\t'), env $(env | cut -d= -f1 | sort | xargs), in $(pwd)"
elif [ "$1" = listen ]; then
  echo "cannot listen" >&2
  exit 4
fi
`

func withPlugins(t *testing.T, dir string) (*daemon.Daemon, *client.Client, func()) {
	t.Helper()
	return serverOf(t, daemon.Config{DataDir: dir, Plugins: true, Keeper: confines(t, dir)})
}

func TestPluginsHaveNoRightsAndOutliveRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, c, stop := withPlugins(t, dir)
	_, err := c.Raw(t.Context(), client.Request{Method: "POST", Path: "/plugin_providers/who", In: strings.NewReader(who), Size: int64(len(who))})
	require.NoError(t, err)
	p, err := client.Get(t.Context(), c, api.PluginProviders, "who")
	require.NoError(t, err)
	assert.Regexp(t, regexp.MustCompile("^user 86[0-9]{3}, groups 86[0-9]{3}, files 4096, data 2097152, NoNewPrivs:1, "+
		"env HOME LANG PATH PWD RS_ENDPOINT RS_FILESERVER RS_TOKEN RS_WEBROOT TMPDIR, in /tmp$"), strings.Replace(p.Documentation, " OLDPWD", "", 1))
	task, err := client.Get(t.Context(), c, api.Tasks, "who-task")
	require.NoError(t, err)
	assert.Equal(t, "who", task.Bundle)

	seen := wrongPlugin(t, d)
	assert.Equal(t, []string{"its process ended: exit status 4: cannot listen"}, seen.PluginErrors)
	assert.False(t, seen.Available)
	var why rest.WhyReply
	_, err = c.Do(t.Context(), "GET", "/why/plugins/who", nil, nil, &why)
	require.NoError(t, err)
	require.Len(t, why.Says, 1)
	assert.Contains(t, why.Says[0], "its process ended and is started again, since ")
	assert.Contains(t, why.Says[0], "last error (try ")
	assert.Contains(t, why.Says[0], "exit status 4: cannot listen")
	stop()

	d, _, stop = withPlugins(t, dir)
	assert.True(t, api.Tasks.Has(d.DB.View(), "who-task"))
	assert.True(t, api.PluginProviders.Has(d.DB.View(), "who"))
	stop()
	d, _, _ = server(t, dir) // without plugins, what they brought is still there
	assert.True(t, api.Tasks.Has(d.DB.View(), "who-task"))
}

// wrongPlugin waits for an error of plugin who.
func wrongPlugin(t *testing.T, d *daemon.Daemon) *api.Plugin {
	t.Helper()
	if p, err := api.Plugins.Get(d.DB.View(), "who"); err == nil && len(p.PluginErrors) > 0 {
		return p
	}
	for evs, err := range d.DB.Watch(t.Context(), 0, nil) {
		require.NoError(t, err)
		for _, e := range evs {
			if p, ok := e.New.(*api.Plugin); ok && len(p.PluginErrors) > 0 {
				return p
			}
		}
	}
	require.Fail(t, "no error came")
	return nil
}

func TestNoPlugins(t *testing.T) {
	t.Parallel()
	_, c, _ := server(t, t.TempDir())
	_, err := c.Do(t.Context(), "DELETE", "/plugin_providers/who", nil, nil, &json.RawMessage{})
	assert.ErrorContains(t, err, "this server does not offer plugins: they are switched off")
}
