package pxe

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// TestNoInstallerOverStrangersData: neither when it is planned nor when it is
// about to go out, until somebody gave up what is there.
func TestNoInstallerOverStrangersData(t *testing.T) {
	t.Parallel()
	disk := func(foreign bool, approved string) *api.DiskSurvey {
		d := api.SurveyDisk{DiskFact: api.DiskFact{DiskID: api.DiskID{Serial: "S1", Size: 64}, Content: []string{"ext4 at 0"}}, Foreign: foreign, Approved: approved}
		return &api.DiskSurvey{Machine: uuidInst, Disks: []api.SurveyDisk{d}}
	}
	ours := &api.Unwiped{Wrote: true}
	for name, c := range map[string]struct {
		survey  *api.DiskSurvey
		pref    string
		unwiped *api.Unwiped
		refused string
	}{
		"strangers' data":             {disk(true, ""), "", nil, "inst is not installed: disk  (serial S1) holds data that is nobody's that drpd knows of: ext4 at 0; if that may go: drpcli machines approve-disks inst"},
		"of a machine that was ours":  {disk(true, ""), "", ours, "holds data that is nobody's"},
		"approved":                    {disk(true, "ann"), "", nil, ""},
		"that may go":                 {disk(true, ""), api.ForeignOverwrite, nil, ""},
		"our own data":                {disk(false, ""), "", ours, ""},
		"nobody looked":               {nil, "", nil, "no inventory is known, so nobody knows what its disks hold"},
		"nobody looked since a taker": {nil, "", &api.Unwiped{}, "no inventory is known"},
		"nobody looked, all may go":   {nil, api.ForeignOverwrite, nil, ""},
		"nobody looked, it was ours":  {nil, "", ours, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.lease(t, someone.String(), macInst)
			require.NoError(t, f.db.Update(t.Context(), func(tx *resource.Tx) error {
				require.NoError(t, api.DiskSurveys.Delete(tx, uuidInst))
				if c.survey != nil {
					require.NoError(t, api.DiskSurveys.Put(tx, c.survey))
				}
				if c.pref != "" {
					require.NoError(t, api.Preferences.Put(tx, &api.Preference{Name: api.PrefForeignDisks, Value: c.pref}))
				}
				return api.Machines.Modify(tx, uuidInst, func(m *api.Machine) error { m.Unwiped = c.unwiped; return nil })
			}))
			got, err := f.body(t, macInst+".ipxe", someone)
			require.NoError(t, err)
			if c.refused == "" {
				assert.Contains(t, got, "vmlinuz")
				return
			}
			assert.Contains(t, planFor(f.db.View(), macInst, someone).local, c.refused)
			assert.NotContains(t, got, "vmlinuz")
			assert.Contains(t, got, "sanboot")
			assert.Equal(t, "", f.Boot(f.db.View(), BootQuery{MAC: macInst, Addr: someone, Arch: ArchBIOS}).Env)
			assert.ErrorIs(t, f.claim(t.Context(), uuidInst, "i1"), errSpent, "nor when it is found since")
		})
	}
}
