package blank_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/blank"
	"drpd/pkg/resource"
)

// TestSpared: what nobody gave up, on a disk that is there, is neither installed
// over nor wiped; a wipe leaves some disks alone anyway.
func TestSpared(t *testing.T) {
	t.Parallel()
	const strangers, unknown = "holds data that is nobody's that drpd knows of: ext4 at 0", "no inventory is known, so nobody knows what its disks hold"
	for name, c := range map[string]struct {
		change        func(w *ward, d *api.SurveyDisk) // a disk with strangers' data
		install, wipe string
	}{
		"its own disk":          {func(*ward, *api.SurveyDisk) {}, strangers, strangers},
		"approved":              {func(_ *ward, d *api.SurveyDisk) { d.Approved = "ann" }, "", ""},
		"gone":                  {func(_ *ward, d *api.SurveyDisk) { d.Absent = true }, "", ""},
		"removable":             {func(_ *ward, d *api.SurveyDisk) { d.Removable = true }, strangers, ""},
		"of the BMC":            {func(_ *ward, d *api.SurveyDisk) { d.Virtual = true }, strangers, ""},
		"read only":             {func(_ *ward, d *api.SurveyDisk) { d.ReadOnly = true }, strangers, ""},
		"behind Fibre Channel":  {func(_ *ward, d *api.SurveyDisk) { d.Transport = "fc" }, strangers, ""},
		"seen by another":       {func(w *ward, d *api.SurveyDisk) { w.others = seen(*d) }, strangers, ""},
		"the pool overwrites":   {func(w *ward, _ *api.SurveyDisk) { w.pool.ForeignDisks = api.ForeignOverwrite }, "", ""},
		"no hardware":           {func(w *ward, _ *api.SurveyDisk) { w.m.Virtual = true }, "", ""},
		"nobody looked":         {func(w *ward, _ *api.SurveyDisk) { w.survey = nil }, unknown, unknown},
		"nobody looked, a user": {func(w *ward, _ *api.SurveyDisk) { w.survey, w.m.Unwiped = nil, &api.Unwiped{User: "ann"} }, unknown, unknown},
		"we wrote":              {func(w *ward, _ *api.SurveyDisk) { w.survey, w.m.Unwiped = nil, &api.Unwiped{Wrote: true} }, "", ""},
	} {
		w := newWard()
		w.foreign("")
		c.change(w, &w.survey.Disks[1])
		db := w.open(t)
		m, err := api.Machines.Get(db.View(), machineID)
		require.NoError(t, err)
		for own, want := range map[bool]string{false: c.install, true: c.wipe} {
			why := blank.Spared(db.View(), m, own)
			if want == "" {
				assert.Empty(t, why, "%s, by a wipe: %v", name, own)
			} else {
				assert.Contains(t, why, want, "%s, by a wipe: %v", name, own)
			}
		}
	}
}

// TestApart: a disk is another machine's too only if that has a disk of that very
// name and size, and has it now; a name that all virtual disks have tells nothing.
func TestApart(t *testing.T) {
	t.Parallel()
	disk := func(serial, wwn string, size int64) api.SurveyDisk {
		return api.SurveyDisk{DiskFact: api.DiskFact{DiskID: api.DiskID{Serial: serial, WWN: wwn, Size: size}}}
	}
	gone := disk("S2", "", 6400)
	gone.Absent = true
	const too = "is in the inventory of machine n2 too"
	for name, c := range map[string]struct {
		own, other api.SurveyDisk
		want       string
	}{
		"by its serial":     {disk("S2", "", 6400), disk("S2", "", 6400), too},
		"by its WWN":        {disk("", "naa.5", 6400), disk("", "naa.5", 6400), too},
		"by its WWN, named": {disk("S2", "naa.5", 6400), disk("S3", "naa.5", 6400), too},
		"another one":       {disk("S2", "", 6400), disk("S3", "", 6400), ""},
		"of another size":   {disk("S2", "", 6400), disk("S2", "", 64), ""},
		"gone from there":   {disk("S2", "", 6400), gone, ""},
		"QEMU's name":       {disk("QM00001", "", 6400), disk("QM00001", "", 6400), ""},
		"no name":           {disk("0000", "", 6400), disk("0000", "", 6400), ""},
		"nameless":          {disk("", "", 6400), disk("", "", 6400), ""},
	} {
		w := newWard()
		w.survey.Disks[1], w.others = c.own, seen(c.other)
		db := w.open(t)
		assert.Equal(t, c.want, blank.Apart(db.View(), w.m, c.own.DiskFact), name)
	}
}

// TestWhatADiskWas: an inventory says what it found, and keeps what was known of
// disks that were there before.
func TestWhatADiskWas(t *testing.T) {
	t.Parallel()
	data := []string{"ext4 at 0"}
	for name, c := range map[string]struct {
		unwiped  *api.Unwiped
		was      *api.SurveyDisk
		found    []string // nil: the disk is gone
		there    bool
		foreign  bool
		approved string
		absent   bool
	}{
		"found with data":              {nil, nil, data, true, true, "", false},
		"found empty":                  {nil, nil, []string{}, true, false, "", false},
		"found with what we wrote":     {&api.Unwiped{Wrote: true}, nil, data, true, false, "", false},
		"found with what nobody wrote": {&api.Unwiped{User: "ann"}, nil, data, true, true, "", false},
		"foreign, and we wrote":        {&api.Unwiped{Wrote: true}, &api.SurveyDisk{Foreign: true}, data, true, true, "", false},
		"approved before":              {nil, &api.SurveyDisk{Foreign: true, Approved: "ann"}, data, true, true, "ann", false},
		"empty since":                  {nil, &api.SurveyDisk{Foreign: true, Approved: "ann"}, []string{}, true, false, "", false},
		"gone with strangers' data":    {nil, &api.SurveyDisk{Foreign: true}, nil, true, true, "", true},
		"gone with somebody's":         {&api.Unwiped{User: "ann"}, &api.SurveyDisk{}, nil, true, false, "", true},
		"gone with nothing":            {nil, &api.SurveyDisk{}, nil, false, false, "", false},
		"a medium that is gone":        {nil, &api.SurveyDisk{DiskFact: api.DiskFact{Removable: true}, Foreign: true}, nil, false, false, "", false},
	} {
		w := newWard()
		w.survey, w.proofs, w.m.PoolStatus, w.m.Unwiped = nil, nil, api.Joining, c.unwiped
		w.m.BootEnv, w.m.Boot = "discovery", &api.BootState{Env: "discovery", Home: true}
		id := api.DiskID{Serial: "S1", Size: 64}
		if c.was != nil {
			c.was.DiskID = id
			w.survey = &api.DiskSurvey{Machine: machineID, Release: 3, Disks: []api.SurveyDisk{*c.was}}
		}
		db := w.open(t)
		require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
			return api.Jobs.Create(tx, &api.Job{Uuid: otherID, Machine: machineID, Task: "inventory", BootEnv: "discovery", State: api.JobRunning})
		}))
		require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
			return api.Jobs.Modify(tx, otherID, func(j *api.Job) error {
				j.State, j.Reports = api.JobFinished, []api.DiskReport{{Op: "inventory"}}
				if c.found != nil {
					j.Reports[0].Disks = []api.DiskFact{{DiskID: id, Content: c.found}}
				}
				return nil
			})
		}))
		s, err := api.DiskSurveys.Get(db.View(), machineID)
		require.NoError(t, err, name)
		if !assert.Equal(t, c.there, len(s.Disks) == 1, name) || !c.there {
			continue
		}
		d := s.Disks[0]
		assert.Equal(t, []any{c.foreign, c.approved, c.absent}, []any{d.Foreign, d.Approved, d.Absent}, name)
	}
}
