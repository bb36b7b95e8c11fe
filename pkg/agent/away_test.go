//go:build linux

package agent

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/sim/machine"
)

// A machine without a BMC reboots itself for what the server says now: not for a
// boot that was given up, nor for what another server said before it was lost.
func TestRebootsItself(t *testing.T) {
	t.Parallel()
	boots := func(edit func(m *api.Machine)) *api.Machine {
		m := &api.Machine{Uuid: "7f3c2f5e-0000-4000-8000-000000000001", BootEnv: "discovery", Tasks: []string{"a"}, Boot: &api.BootState{Intent: "1", Env: "discovery"}}
		edit(m)
		return m
	}
	same := func(*api.Machine) {}
	for what, c := range map[string]struct {
		was, is func(m *api.Machine)
		want    []string
	}{
		"as before":                  {same, same, []string{machine.Rebooted}},
		"given up":                   {func(m *api.Machine) { m.Boot.Error = "set aside" }, same, []string{}},
		"given up meanwhile":         {same, func(m *api.Machine) { m.Boot.Error = "set aside" }, []string{}},
		"adopted as what it runs":    {same, func(m *api.Machine) { m.BootEnv, m.Boot = "local", &api.BootState{Env: "local", Home: true} }, []string{}},
		"another boot":               {same, func(m *api.Machine) { m.Boot.Intent = "2" }, []string{}},
		"takes work orders now":      {same, func(m *api.Machine) { m.WorkOrderMode = true }, []string{}},
		"nothing is left to be done": {same, func(m *api.Machine) { m.CurrentTask = 1 }, []string{}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				var out any = boots(c.is)
				if strings.HasSuffix(r.URL.Path, "/params") {
					out = map[string]any{}
				}
				assert.NoError(t, json.NewEncoder(w).Encode(out))
			}))
			defer s.Close()
			hw := machine.New(machine.Config{MAC: "52:54:00:00:00:01"})
			a, err := newAgent(Config{Endpoint: s.URL, Token: "t", Env: "local", StateDir: t.TempDir(), Hardware: hw.Hardware(), Poll: 1000, Log: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			hw.OnEnd(func(string) { cancel() })
			if err := a.away(ctx, boots(c.was)); len(c.want) == 0 {
				require.NoError(t, err)
			}
			assert.ElementsMatch(t, c.want, hw.Ends())
		})
	}
}
