package restored

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"drpd/pkg/api"
)

// TestWhoseDataARestoreHolds: who had the machine last before the backup stays
// known, though not even they get it unwiped: others may have had it since.
func TestWhoseDataARestoreHolds(t *testing.T) {
	t.Parallel()
	const web, why = "33333333-3333-4333-8333-333333333333", "the server was restored from a backup: it must be proven blank again"
	for name, c := range map[string]struct{ was, want *api.Unwiped }{
		"blank":     {nil, &api.Unwiped{Why: why, Parted: true}},
		"cluster's": {&api.Unwiped{Owner: web, Name: "web", Why: "it was taken", Wrote: true}, &api.Unwiped{Owner: web, Name: "web", Why: why, Wrote: true, Parted: true}},
		"person's":  {&api.Unwiped{User: "ann", Why: "it was taken"}, &api.Unwiped{User: "ann", Why: why, Parted: true}},
		"prepared":  {&api.Unwiped{Prepared: true}, &api.Unwiped{Why: why, Parted: true}},
	} {
		r := newRig(t, func(m *api.Machine) { m.PoolStatus, m.Unwiped = api.Free, c.was })
		r.takeOver(false)
		assert.Equal(t, c.want, r.machine().Unwiped, name)
		r.takeOver(true)
		assert.Equal(t, c.want, r.machine().Unwiped, "%s, once more", name)
	}
}
