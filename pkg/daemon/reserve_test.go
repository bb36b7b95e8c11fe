package daemon_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/client"
	"drpd/pkg/resource"
)

// A machine reserves the address that is leased to it, for itself; what it says
// its address is counts for nothing.
func TestMachinesReserveOnlyTheirLease(t *testing.T) {
	t.Parallel()
	r := newRack(t, &api.Machine{})
	leased(t, r.d, mac1)
	agent, err := r.claim(r.boot)
	require.NoError(t, err)
	put(t, r.d, func(tx *resource.Tx) error {
		return api.Leases.Put(tx, &api.Lease{Addr: "192.0.2.9", Token: "52:54:00:00:00:09", State: "ACK", ExpireTime: time.Now().Add(time.Hour)})
	})
	reserve := func(addr, mac string) error {
		_, err := client.Patch(t.Context(), agent, api.Machines, r.id, client.Set("/Address", addr))
		require.NoError(t, err)
		_, err = client.Create(t.Context(), agent, api.Reservations, &api.Reservation{Addr: addr, Token: mac, Strategy: "MAC"})
		return err
	}
	for name, try := range map[string][2]string{
		"the address of another":             {"192.0.2.9", mac1},
		"an address of nobody":               {"192.0.2.10", mac1},
		"its address for another":            {"127.0.0.1", "52:54:00:00:00:09"},
		"the address of another for it":      {"192.0.2.9", "52:54:00:00:00:09"},
		"its address for a MAC that is none": {"127.0.0.1", "x"},
	} {
		err := reserve(try[0], try[1])
		assert.Error(t, err, name)
	}
	assert.Equal(t, 0, api.Reservations.Len(r.d.DB.View()))
	require.NoError(t, reserve("127.0.0.1", mac1))
}
