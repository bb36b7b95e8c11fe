package daemon

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

func TestInterfacesFollowTheHost(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db, err := resource.Open(ctx, resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds()})
	require.NoError(t, err)
	eth0 := &api.Interface{Name: "eth0", Index: 2, Addresses: []string{"192.0.2.1/24"}, ActiveAddress: "192.0.2.1/24"}
	require.NoError(t, saveInterfaces(ctx, db, []*api.Interface{{Name: "lo", Index: 1}, eth0}))
	o, err := api.Interfaces.Lookup(db.View(), "eth0")
	require.NoError(t, err)
	assert.JSONEq(t, `{"Name":"eth0","Index":2,"Addresses":["192.0.2.1/24"],"ActiveAddress":"192.0.2.1/24",
		"Gateway":"","DnsServers":[],"DnsDomain":"","ReadOnly":true,"Meta":{}}`, string(o.JSON))

	rev := db.View().Rev()
	require.NoError(t, saveInterfaces(ctx, db, []*api.Interface{{Name: "lo", Index: 1}, eth0}))
	assert.Equal(t, rev, db.View().Rev(), "no change, no new revision")

	require.NoError(t, saveInterfaces(ctx, db, []*api.Interface{eth0}))
	assert.False(t, api.Interfaces.Has(db.View(), "lo"))
	assert.True(t, api.Interfaces.Has(db.View(), "eth0"))
}

func TestActiveAddress(t *testing.T) {
	t.Parallel()
	addr := func(s string) net.Addr {
		ip, n, err := net.ParseCIDR(s)
		require.NoError(t, err)
		return &net.IPNet{IP: ip, Mask: n.Mask}
	}
	assert.Equal(t, "10.1.2.3/24", activeAddress([]net.Addr{addr("fe80::1/64"), addr("169.254.1.1/16"), addr("10.1.2.3/24")}))
	assert.Empty(t, activeAddress([]net.Addr{addr("127.0.0.1/8"), addr("::1/128")}))
}
