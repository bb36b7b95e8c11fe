package daemon

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/flexi"
	"drpd/pkg/param"
	"drpd/pkg/resource"
	"drpd/pkg/seal"
	"drpd/pkg/store/mem"
)

// TestBaseClassifier asserts what the content of universal-discover says of the
// hardware and application of a machine, whose inventory is there already.
func TestBaseClassifier(t *testing.T) {
	t.Parallel()
	system := func(vendor, product string) map[string]any {
		return map[string]any{"System": map[string]any{"Vendor": vendor, "Product": product}}
	}
	for name, tc := range map[string]struct {
		params   resource.Params
		profiles []string // that exist
		want     []string // that the machine gets
		hardware any
		app      any
	}{
		"hardware is derived": {params: resource.Params{"inventory/data": system("Dell Inc.", "PowerEdge R640")}, hardware: "dell-inc-poweredge-r640"},
		"numbers are text":    {params: resource.Params{"inventory/data": system("42", ""), "rack/build": "1e3"}, hardware: "42", app: "1e3"},
		"hardware is known":   {params: resource.Params{"inventory/data": system("a", "b"), "universal/hardware": "x"}, hardware: "x"},
		"no vendor":           {params: resource.Params{"inventory/data": system("", "b")}},
		"no inventory":        {},
		"the rack's plan":     {params: resource.Params{"rack/build": "db"}, profiles: []string{"universal-application-db", "universal-application-web"}, want: []string{"universal-application-db"}, app: "db"},
		"a plan without one":  {params: resource.Params{"rack/build": "db"}, profiles: []string{"universal-application-web"}, app: "db"},
		"the rack's plan wins": {params: resource.Params{"rack/build": "db", "universal/application": "web"},
			profiles: []string{"universal-application-db", "universal-application-web"}, want: []string{"universal-application-db"}, app: "db"},
		"a special application": {params: resource.Params{"universal/application": "db-large"}, profiles: []string{"universal-application-db"},
			want: []string{"universal-application-db"}, app: "db-large"},
		"the most specific of both": {params: resource.Params{"inventory/data": system("Acme", "X 10 Rev2")},
			profiles: []string{"universal-hw-acme", "universal-hw-acme-x", "universal-bom-acme", "universal-bom-acme-x-10-rev2", "universal-hw-acme-x-11"},
			want:     []string{"universal-bom-acme-x-10-rev2", "universal-hw-acme-x"}, hardware: "acme-x-10-rev2"},
		"application, then hardware": {params: resource.Params{"rack/build": "db", "inventory/data": system("Acme", "X")},
			profiles: []string{"universal-hw-acme", "universal-bom-acme-x", "universal-application-db"},
			want:     []string{"universal-application-db", "universal-bom-acme-x", "universal-hw-acme"}, hardware: "acme-x", app: "db"},
		"switched off": {params: resource.Params{"rack/build": "db", "universal/discover-classification-base-disable": true}, profiles: []string{"universal-application-db"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := classified(t, tc.params, tc.profiles)
			assert.Equal(t, tc.want, append([]string(nil), m.Profiles...))
			assert.Equal(t, tc.hardware, m.Params["universal/hardware"])
			assert.Equal(t, tc.app, m.Params["universal/application"])
		})
	}
}

// classified is a machine that went through the classification of
// universal-discover, twice.
func classified(t *testing.T, params resource.Params, profiles []string) *api.Machine {
	t.Helper()
	core, err := NewCore(t.Context(), CoreConfig{Store: mem.New(mem.Config{}), Vault: param.NewVault(seal.NewMaster(seal.Key{1})),
		Match: func(resource.Reader, *api.Machine, string) (bool, error) { return false, nil }})
	require.NoError(t, err)
	m := &api.Machine{Name: "n1", Params: params, Workflow: "only-classify"}
	require.NoError(t, core.DB.Update(t.Context(), func(tx *resource.Tx) error {
		for _, p := range profiles {
			require.NoError(t, api.Profiles.Create(tx, &api.Profile{Name: p}))
		}
		require.NoError(t, api.Workflows.Create(tx, &api.Workflow{Name: "only-classify",
			Stages: []string{"universal-discover-classification", "universal-start-classification", "universal-discover-classification"}}))
		return api.Machines.Create(tx, m)
	}))
	templates := (&flexi.Renderer{DB: core.DB}).Action()
	for range 100 {
		require.NoError(t, core.DB.Update(t.Context(), func(tx *resource.Tx) error {
			_, err := core.Flow.Rules()[0].Step(tx, time.Unix(1000, 0), m.Uuid)
			return err
		}))
		for o := range flexi.Renderings.All(core.DB.View()) {
			change := templates.Do(t.Context(), o)
			require.NoError(t, core.DB.Update(t.Context(), func(tx *resource.Tx) error { return flexi.Renderings.Modify(tx, o.Job, change) }))
		}
	}
	got, err := api.Machines.Get(core.DB.View(), m.Uuid)
	require.NoError(t, err)
	require.True(t, got.WorkflowComplete, "%v", got)
	return got
}
