package diskplan

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

const (
	machineID = "11111111-1111-4111-8111-111111111111"
	otherID   = "22222222-2222-4222-8222-222222222222"
	clusterID = "33333333-3333-4333-8333-333333333333"
	jobID     = "44444444-4444-4444-8444-444444444444"
)

// desk is a machine with an inventory of two disks, of which each case changes
// something.
type desk struct {
	m         *api.Machine
	survey    *api.DiskSurvey
	others    []*api.DiskSurvey
	image     *api.BootEnv
	protected bool // the cluster is
	pool      *api.Pool
}

func newDesk() *desk {
	d := &desk{
		m: &api.Machine{Name: "n1", Uuid: machineID, PoolStatus: api.InUse, Owner: clusterID, Uses: 3, Unwiped: &api.Unwiped{Owner: clusterID, Wrote: true},
			Params: resource.Params{ParamImage: "img"}},
		survey: &api.DiskSurvey{Machine: machineID, Release: 3},
		image:  &api.BootEnv{Name: "img", OS: api.OsInfo{IsoFile: "i.zst", IsoSha256: strings.Repeat("a", 64)}},
		pool:   &api.Pool{Id: "default"},
	}
	d.image.Meta = map[string]string{"raw-size": "1000"}
	for i, serial := range []string{"S1", "S2"} {
		d.survey.Disks = append(d.survey.Disks, api.SurveyDisk{DiskFact: api.DiskFact{
			DiskID: api.DiskID{Serial: serial, WWN: "naa." + serial, Path: "/dev/" + serial, Size: int64(2000 + i)}, Transport: "sas"}})
	}
	return d
}

// plan runs an operation, and returns the param that it is to set.
func (d *desk) plan(t *testing.T, op, name string) (any, error) {
	t.Helper()
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds()})
	require.NoError(t, err)
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		require.NoError(t, api.Clusters.Create(tx, &api.Machine{Name: "web", Uuid: clusterID, Protected: d.protected, ProtectedBy: "ann"}))
		require.NoError(t, api.Files.Create(tx, &api.File{Path: "isos/i.zst", SHA256: strings.Repeat("a", 64)}))
		require.NoError(t, api.BootEnvs.Create(tx, d.image))
		require.NoError(t, api.Pools.Create(tx, d.pool))
		require.NoError(t, api.Machines.Create(tx, &api.Machine{Name: "n2", Uuid: otherID}))
		for _, s := range append(d.others, d.survey) {
			if s != nil {
				require.NoError(t, api.DiskSurveys.Put(tx, s))
			}
		}
		require.NoError(t, api.Machines.Create(tx, d.m))
		return api.Jobs.Create(tx, &api.Job{Uuid: jobID, Machine: machineID, Task: "action:" + op, State: api.JobRunning})
	}))
	var does error
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		_, does = Natives()[op](tx, tx.Now(), jobID)
		return nil
	}))
	m, err := api.Machines.Get(db.View(), machineID)
	require.NoError(t, err)
	if does != nil {
		assert.NotContains(t, m.Params, name, "nothing is planned that was refused")
	}
	return m.Params[name], does
}

func TestPlanWipe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(d *desk)
		want    []string
		refused string
	}{
		"all":                           {func(*desk) {}, []string{"S1", "S2"}, ""},
		"no inventory":                  {func(d *desk) { d.survey = nil }, nil, "no inventory of its disks was ever taken"},
		"one of another release":        {func(d *desk) { d.survey.Release = 2 }, nil, "no inventory of its disks was taken since"},
		"a protected cluster's":         {func(d *desk) { d.protected = true }, nil, "cluster web is protected"},
		"a protected disk":              {func(d *desk) { d.m.Params[ParamProtected] = []any{"s2"} }, nil, "disk S2 is protected"},
		"protected by its WWN":          {func(d *desk) { d.m.Params[ParamProtected] = []any{"0xS2"} }, nil, "disk S2 is protected"},
		"a removable one":               {func(d *desk) { d.survey.Disks[1].Removable = true }, []string{"S1"}, ""},
		"a medium of the BMC":           {func(d *desk) { d.survey.Disks[1].Virtual = true }, []string{"S1"}, ""},
		"a read-only one":               {func(d *desk) { d.survey.Disks[1].ReadOnly = true }, []string{"S1"}, ""},
		"one behind an expander":        {func(d *desk) { d.survey.Disks[1].Expander = true }, []string{"S1"}, ""},
		"one behind Fibre Channel":      {func(d *desk) { d.survey.Disks[1].Transport = "fc" }, []string{"S1"}, ""},
		"one behind iSCSI":              {func(d *desk) { d.survey.Disks[1].Transport = "iscsi" }, []string{"S1"}, ""},
		"one that another machine sees": {func(d *desk) { d.others = shared(d.survey.Disks[1]) }, []string{"S1"}, ""},
		"by the same WWN":               {func(d *desk) { s := d.survey.Disks[1]; s.Serial = "OTHER"; d.others = shared(s) }, []string{"S1"}, ""},
		"with another one's serial":     {func(d *desk) { s := d.survey.Disks[1]; s.WWN, s.Size = "", 9; d.others = shared(s) }, []string{"S1", "S2"}, ""},
		"one that another once saw":     {func(d *desk) { s := d.survey.Disks[1]; s.Absent = true; d.others = shared(s) }, []string{"S1", "S2"}, ""},
		"a name that many disks have": {func(d *desk) {
			d.survey.Disks[1].Serial, d.survey.Disks[1].WWN = "QM00002", ""
			d.others = shared(d.survey.Disks[1])
		}, []string{"S1", "QM00002"}, ""},
		"named, behind an expander":    {func(d *desk) { d.survey.Disks[1].Expander = true; d.named("S2") }, []string{"S1", "S2"}, ""},
		"named, behind Fibre Channel":  {func(d *desk) { d.survey.Disks[1].Transport = "fc"; d.named("S2") }, []string{"S1", "S2"}, ""},
		"named, seen by another":       {func(d *desk) { d.others = shared(d.survey.Disks[1]); d.named("S2") }, []string{"S1", "S2"}, ""},
		"another one named":            {func(d *desk) { d.survey.Disks[1].Transport = "fc"; d.named("S1") }, []string{"S1"}, ""},
		"named, and read-only":         {func(d *desk) { d.survey.Disks[1].ReadOnly = true; d.named("S2") }, nil, "disk S2 is read only"},
		"named, and removable":         {func(d *desk) { d.survey.Disks[1].Removable = true; d.named("S2") }, []string{"S1"}, ""},
		"named, and protected":         {func(d *desk) { d.m.Params[ParamProtected] = []any{"S2"}; d.named("S2") }, nil, "disk S2 is protected"},
		"named, and not there":         {func(d *desk) { d.named("S9") }, nil, "no disk with serial S9"},
		"named, and twice there":       {func(d *desk) { d.survey.Disks[1].Serial = "S1"; d.named("S1") }, nil, "2 disks have serial S1"},
		"none that may be":             {func(d *desk) { d.survey.Disks[0].Removable, d.survey.Disks[1].Expander = true, true }, nil, "there is no disk to wipe"},
		"none at all":                  {func(d *desk) { d.survey.Disks = nil }, nil, "there is no disk to wipe"},
		"one that is gone":             {func(d *desk) { d.survey.Disks[1].Absent = true }, []string{"S1"}, ""},
		"with strangers' data":         {func(d *desk) { d.foreign("") }, nil, "holds data that is nobody's"},
		"strangers' data, elsewhere":   {func(d *desk) { d.foreign(""); d.survey.Disks[1].Transport = "fc" }, []string{"S1"}, ""},
		"named, with strangers' data":  {func(d *desk) { d.foreign(""); d.survey.Disks[1].Transport = "fc"; d.named("S2") }, nil, "holds data that is nobody's"},
		"strangers' data, approved":    {func(d *desk) { d.foreign("ann") }, []string{"S1", "S2"}, ""},
		"strangers' data that may go":  {func(d *desk) { d.foreign(""); d.pool.ForeignDisks = api.ForeignOverwrite }, []string{"S1", "S2"}, ""},
		"before what cannot follow":    {func(d *desk) { d.m.Tasks = []string{"action:disk/plan-install"}; d.image.Meta["raw-size"] = "9999" }, nil, "it is not wiped, because it could not be installed after that"},
		"before an image that is gone": {func(d *desk) { d.m.Tasks = []string{"action:disk/plan-install"}; d.m.Params[ParamImage] = "none" }, nil, `no boot environment "none"`},
		"before an installation":       {func(d *desk) { d.m.Tasks = []string{"action:disk/plan-install"} }, []string{"S1", "S2"}, ""},
		"after what could not follow it": {func(d *desk) {
			d.m.Tasks, d.m.CurrentTask = []string{"action:disk/plan-install", "x"}, 1
			d.m.Params[ParamImage] = "none"
		}, []string{"S1", "S2"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk()
			c.change(d)
			got, err := d.plan(t, "disk/plan-wipe", ParamWipe)
			if c.refused != "" {
				assert.ErrorContains(t, err, c.refused)
				return
			}
			require.NoError(t, err)
			var serials []string
			for _, x := range got.([]any) {
				serials = append(serials, x.(map[string]any)["Serial"].(string))
			}
			assert.Equal(t, c.want, serials)
		})
	}
}

func (d *desk) named(serial string) { d.m.Params[ParamWipeDisks] = []any{serial} }

func (d *desk) foreign(approved string) {
	d.survey.Disks[1].Foreign, d.survey.Disks[1].Approved, d.survey.Disks[1].Content = true, approved, []string{"ext4 at 0"}
}

func shared(s api.SurveyDisk) []*api.DiskSurvey {
	return []*api.DiskSurvey{{Machine: otherID, Disks: []api.SurveyDisk{s}}}
}

func TestPlanInstall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(d *desk)
		want    string
		check   bool
		refused string
	}{
		"the smallest":           {func(*desk) {}, "S1", false, ""},
		"the one named":          {func(d *desk) { d.m.Params[ParamSerial] = "S2" }, "S2", false, ""},
		"a protected cluster's":  {func(d *desk) { d.protected = true }, "", false, "cluster web is protected"},
		"a protected disk":       {func(d *desk) { d.m.Params[ParamProtected] = []any{"S1"} }, "S2", false, ""},
		"no inventory":           {func(d *desk) { d.survey = nil }, "", false, "no inventory is known"},
		"the machine's own word": {func(d *desk) { d.survey = nil; d.m.Params[ParamInventory] = own() }, "", false, "no inventory is known"},
		"its own word, where all may": {func(d *desk) {
			d.survey = nil
			d.m.Params[ParamInventory] = own()
			d.pool.ForeignDisks = api.ForeignOverwrite
		}, "O1", false, ""},
		"with strangers' data":          {func(d *desk) { d.foreign("") }, "", false, "holds data that is nobody's"},
		"strangers' data, approved":     {func(d *desk) { d.foreign("ann") }, "S1", false, ""},
		"strangers' data that is gone":  {func(d *desk) { d.foreign(""); d.survey.Disks[1].Absent = true }, "S1", false, ""},
		"the first on a new machine":    {func(d *desk) { d.m.PoolStatus, d.m.Owner, d.m.Unwiped = api.Joining, "", nil }, "S1", true, ""},
		"one behind Fibre Channel":      {func(d *desk) { d.survey.Disks[0].Transport = "fc" }, "", false, "is behind Fibre Channel"},
		"named, behind Fibre Channel":   {func(d *desk) { d.survey.Disks[0].Transport = "fc"; d.m.Params[ParamSerial] = "S1" }, "S1", false, ""},
		"one that another machine sees": {func(d *desk) { d.others = shared(d.survey.Disks[0]) }, "", false, "is in the inventory of machine n2 too"},
		"a medium of the BMC":           {func(d *desk) { d.survey.Disks[0].Virtual = true }, "S2", false, ""},
		"no image":                      {func(d *desk) { delete(d.m.Params, ParamImage) }, "", false, "param image-deploy/image is not set"},
		"an image without its sum":      {func(d *desk) { d.image.OS.IsoSha256 = "" }, "", false, "names no image with its SHA-256"},
		"an image that is not there":    {func(d *desk) { d.image.OS.IsoFile = "gone.zst" }, "", false, "is not available"},
		"an image of unknown size":      {func(d *desk) { d.image.Meta["raw-size"] = "big" }, "", false, "is not the unpacked size"},
		"an image too large":            {func(d *desk) { d.image.Meta["raw-size"] = "9999" }, "", false, "no disk to install to"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk()
			c.change(d)
			got, err := d.plan(t, "disk/plan-install", ParamInstall)
			if c.refused != "" {
				assert.ErrorContains(t, err, c.refused)
				return
			}
			require.NoError(t, err)
			plan := got.(map[string]any)
			assert.Equal(t, c.want, plan["Serial"])
			assert.Equal(t, c.check, plan["Check"], "the agent looks again before its first byte")
		})
	}
}

func own() map[string]any {
	return map[string]any{"Disks": []any{map[string]any{"Name": "sda", "Serial": "O1", "Size": 5000}}}
}
