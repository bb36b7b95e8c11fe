package diskplan

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	disks := []Disk{
		{Name: "sda", Serial: "BIG", Size: 4000},
		{Name: "sdb", Serial: "SMALL", WWN: "0x5", Size: 2000},
		{Name: "sdc", Serial: "TINY", Size: 10},
		{Name: "sdd", Serial: "STICK", Size: 3000, Removable: true},
		{Name: "sde", Size: 2500},
		{Name: "sdf", Serial: "TWIN", Size: 9000},
		{Name: "sdg", Serial: "TWIN", Size: 9000},
	}
	cases := map[string]struct {
		serial    string
		protected []string
		raw       int64
		want      string
		problem   string
	}{
		"smallest that fits":      {raw: 1000, want: "SMALL"},
		"protected by wwn":        {raw: 1000, protected: []string{"0x5"}, want: "BIG"},
		"named":                   {serial: "BIG", raw: 1000, want: "BIG"},
		"named but protected":     {serial: "BIG", raw: 1, protected: []string{"BIG"}, problem: "disk BIG is protected (param disk/protected)"},
		"named but too small":     {serial: "TINY", raw: 1000, problem: "disk TINY has 10 bytes, the image needs 1000"},
		"another serial":          {serial: "GONE", raw: 1, problem: "no disk with serial GONE; the inventory has BIG, SMALL, TINY, STICK, , TWIN, TWIN"},
		"two with one serial":     {serial: "TWIN", raw: 1, problem: "2 disks have serial TWIN; remove the doubt by hand"},
		"none fits, each says so": {raw: 99999, problem: `no disk to install to: sda (serial "BIG"): has 4000 bytes, the image needs 99999, sdb (serial "SMALL"): has 2000 bytes, the image needs 99999, sdc (serial "TINY"): has 10 bytes, the image needs 99999, sdd (serial "STICK"): is removable, sde (serial ""): has no serial number, sdf (serial "TWIN"): has 9000 bytes, the image needs 99999, sdg (serial "TWIN"): has 9000 bytes, the image needs 99999, 7 disks found`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d, problem := Choose(disks, c.serial, c.protected, c.raw)
			assert.Equal(t, c.problem, problem)
			if problem == "" {
				assert.Equal(t, c.want, d.Serial)
			}
		})
	}
}
