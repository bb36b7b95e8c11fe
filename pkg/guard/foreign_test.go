package guard_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/guard"
	"drpd/pkg/resource"
)

// TestStrangersDataInDocuments: whatever an agent is told to do, what is nobody's
// stays until somebody gave it up.
func TestStrangersDataInDocuments(t *testing.T) {
	t.Parallel()
	const far = "holds data that is nobody's that drpd knows of: ext4 at 0"
	for name, c := range map[string]struct {
		own, apart bool // which of its disks has strangers' data: S1, or S2 behind Fibre Channel
		doc        string
		refused    string
	}{
		"a look":                      {true, true, "op: inventory", ""},
		"an installation":             {true, false, "op: deploy\ndisk: {serial: S2}", far},
		"over what is apart":          {false, true, "op: deploy\ndisk: {serial: S1}", far},
		"a wipe":                      {true, false, "op: wipe\ndisks: [{serial: S1}]", far},
		"a wipe beside it":            {true, false, "op: wipe\ndisks: [{serial: S3}]", far},
		"a wipe that leaves it alone": {false, true, "op: wipe\ndisks: [{serial: S1}]", ""},
		"a wipe of what is apart":     {false, true, "op: wipe\ndisks: [{serial: s2}]", far},
		"by its WWN":                  {false, true, "op: wipe\ndisks: [{wwn: naa.51}]", far},
		"an unknown operation":        {true, false, "op: sanitize\ndisks: [{serial: S1}]", far},
		"where there is none":         {false, false, "op: deploy\ndisk: {serial: S1}", ""},
	} {
		y := newYard(t, false, api.InUse)
		put := func(approved string) {
			require.NoError(t, y.update(func(tx *resource.Tx) error {
				s := &api.DiskSurvey{Machine: memberID}
				for serial, foreign := range map[string]bool{"S1": c.own, "S2": c.apart} {
					d := api.SurveyDisk{DiskFact: api.DiskFact{DiskID: api.DiskID{Serial: serial, Size: 64}, Content: []string{"ext4 at 0"}}, Foreign: foreign, Approved: approved}
					if serial == "S2" {
						d.Transport, d.WWN = "fc", "0x51"
					}
					s.Disks = append(s.Disks, d)
				}
				return api.DiskSurveys.Put(tx, s)
			}))
		}
		ask := func() error {
			_, err := guard.Actions(y.db.View(), y.machine(), []api.JobAction{{Name: name, Content: c.doc, Meta: map[string]string{"Interpreter": "drp-agent"}}})
			return err
		}
		put("")
		if err := ask(); c.refused == "" {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorContains(t, err, c.refused, name)
		}
		put("ann")
		assert.NoError(t, ask(), name)
	}
}

// TestEntriesOverStrangersData: an entry of a list is not begun, but a wish may be
// saved: its list may look first, and somebody may give up what is there.
func TestEntriesOverStrangersData(t *testing.T) {
	t.Parallel()
	y := newYard(t, false, api.InUse)
	require.NoError(t, y.update(func(tx *resource.Tx) error {
		require.NoError(t, api.BootEnvs.Create(tx, &api.BootEnv{Name: "os-install", Kernel: "k"}))
		d := api.SurveyDisk{DiskFact: api.DiskFact{DiskID: api.DiskID{Serial: "S1", Size: 64}, Content: []string{"ext4 at 0"}}, Foreign: true}
		return api.DiskSurveys.Put(tx, &api.DiskSurvey{Machine: memberID, Disks: []api.SurveyDisk{d}})
	}))
	for _, entry := range []string{"bootenv:os-install", "action:disk/plan-install", "action:disk/plan-wipe"} {
		assert.ErrorContains(t, guard.Entry(y.db.View(), y.machine(), entry), "nobody's", entry)
	}
	assert.NoError(t, guard.Entry(y.db.View(), y.machine(), "stage:none"))
	assert.NoError(t, y.edit(func(m *api.Machine) { m.BootEnv, m.Tasks = "os-install", []string{"action:disk/plan-install"} }))
	for _, what := range []guard.Effect{guard.Release, guard.Delete} {
		assert.NoError(t, guard.Destroy(y.db.View(), y.machine(), what), "it ends no data")
	}
}
