package dhcp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/proof"
	"drpd/pkg/pxe"
	"drpd/pkg/resource"
	"drpd/pkg/store"
	"drpd/pkg/store/mem"
)

const (
	macA = "52:54:00:00:00:0a"
	macB = "52:54:00:00:00:0b"
	macR = "52:54:00:00:00:aa" // has a reservation
)

var (
	epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	local = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}
)

func newDB(t testing.TB, st store.Store, put func(tx *resource.Tx) error) *resource.DB {
	t.Helper()
	db, err := resource.Open(t.Context(), resource.Config{Store: st, Kinds: append(api.Kinds(), proof.Claims), Now: func() time.Time { return epoch }})
	require.NoError(t, err)
	require.NoError(t, db.Update(t.Context(), put))
	return db
}

func subnet(change func(*api.Subnet)) *api.Subnet {
	s := &api.Subnet{
		Name: "boot", Enabled: true, Subnet: "10.0.0.1/24", ActiveStart: "10.0.0.10", ActiveEnd: "10.0.0.13",
		ActiveLeaseTime: 600, Options: []api.DhcpOption{{Code: 3, Value: "10.0.0.1"}, {Code: 15, Value: "{{index . 12}}.rack"}},
	}
	if change != nil {
		change(s)
	}
	return s
}

type change func(*dhcpv4.DHCPv4)

func opt(code uint8, v ...byte) change { return func(p *dhcpv4.DHCPv4) { p.Options[code] = v } }
func ip(code uint8, a string) change   { return opt(code, netip.MustParseAddr(a).AsSlice()...) }
func text(code uint8, v string) change { return opt(code, []byte(v)...) }
func ciaddr(a string) change           { return func(p *dhcpv4.DHCPv4) { p.ClientIPAddr = net.ParseIP(a).To4() } }
func giaddr(a string) change {
	return func(p *dhcpv4.DHCPv4) { p.GatewayIPAddr = net.ParseIP(a).To4() }
}

func raw(mac string, t dhcpv4.MessageType, changes ...change) []byte {
	hw, _ := net.ParseMAC(mac)
	p := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, ClientHWAddr: hw,
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4zero,
		TransactionID: dhcpv4.TransactionID{1, 2, 3, 4}, Options: dhcpv4.Options{53: {byte(t)}},
	}
	for _, c := range changes {
		c(p)
	}
	return p.ToBytes()
}

func query(t testing.TB, mac string, typ dhcpv4.MessageType, changes ...change) Query {
	q, err := Parse(raw(mac, typ, changes...))
	require.NoError(t, err)
	q.Local = local
	return q
}

const (
	discover = dhcpv4.MessageTypeDiscover
	request  = dhcpv4.MessageTypeRequest
	offer    = dhcpv4.MessageTypeOffer
	ack      = dhcpv4.MessageTypeAck
	nak      = dhcpv4.MessageTypeNak
	none     = dhcpv4.MessageTypeNone
)

func lease(addr, mac, state string, ends time.Duration) *api.Lease {
	return &api.Lease{Addr: addr, Token: mac, Strategy: "MAC", State: state, ExpireTime: epoch.Add(ends)}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	all := []*api.Lease{
		lease("10.0.0.10", macB, "ACK", time.Hour), lease("10.0.0.11", "52:54:00:00:00:01", "ACK", -time.Minute),
		lease("10.0.0.12", "52:54:00:00:00:02", "ACK", -time.Hour), lease("10.0.0.13", "", "INVALID", time.Hour),
	}
	tests := []struct {
		name   string
		subnet func(*api.Subnet)
		leases []*api.Lease
		mac    string
		typ    dhcpv4.MessageType
		with   []change
		want   dhcpv4.MessageType
		addr   string
		state  string // of the lease of addr afterwards
	}{
		{name: "first free", mac: macA, typ: discover, want: offer, addr: "10.0.0.10", state: "OFFER"},
		{name: "hint", mac: macA, typ: discover, with: []change{ip(50, "10.0.0.12")}, want: offer, addr: "10.0.0.12", state: "OFFER"},
		{name: "hint outside the range", mac: macA, typ: discover, with: []change{ip(50, "10.0.0.99")}, want: offer, addr: "10.0.0.10", state: "OFFER"},
		{name: "reservation", mac: macR, typ: discover, want: offer, addr: "10.0.0.200", state: "OFFER"},
		{name: "reservation in a disabled subnet", subnet: func(s *api.Subnet) { s.Enabled = false }, mac: macR, typ: discover, want: offer, addr: "10.0.0.200", state: "OFFER"},
		{name: "its lease again", leases: []*api.Lease{lease("10.0.0.12", macA, "ACK", -time.Hour)}, mac: macA, typ: discover, want: offer, addr: "10.0.0.12", state: "OFFER"},
		{name: "a running lease stays ACK", leases: []*api.Lease{lease("10.0.0.12", macA, "ACK", time.Hour)}, mac: macA, typ: discover, want: offer, addr: "10.0.0.12", state: "ACK"},
		{name: "most expired", leases: all, mac: macA, typ: discover, want: offer, addr: "10.0.0.12", state: "OFFER"},
		{name: "nothing free", subnet: func(s *api.Subnet) { s.Pickers = []string{"nextFree"} }, leases: all, mac: macA, typ: discover, want: none},
		{name: "disabled", subnet: func(s *api.Subnet) { s.Enabled = false }, mac: macA, typ: discover, want: none},
		{name: "only reservations", subnet: func(s *api.Subnet) { s.OnlyReservations = true }, mac: macA, typ: discover, want: none},
		{name: "being probed", leases: []*api.Lease{lease("10.0.0.12", macA, "PROBE", time.Second)}, mac: macA, typ: discover, want: none},
		{name: "relay from a known subnet", mac: macA, typ: discover, with: []change{giaddr("10.0.0.254")}, want: offer, addr: "10.0.0.10", state: "OFFER"},
		{name: "relay from a foreign subnet", mac: macA, typ: discover, with: []change{giaddr("10.9.0.1")}, want: none},
		{name: "link selection", mac: macA, typ: discover, with: []change{giaddr("10.9.0.1"), opt(82, 5, 4, 10, 0, 0, 0)}, want: offer, addr: "10.0.0.10", state: "OFFER"},

		{name: "selecting", leases: []*api.Lease{lease("10.0.0.12", macA, "OFFER", time.Second)}, mac: macA, typ: request,
			with: []change{ip(54, "10.0.0.1"), ip(50, "10.0.0.12")}, want: ack, addr: "10.0.0.12", state: "ACK"},
		{name: "selecting by relay override", leases: []*api.Lease{lease("10.0.0.12", macA, "OFFER", time.Second)}, mac: macA, typ: request,
			with: []change{giaddr("10.0.0.254"), opt(82, 11, 4, 10, 0, 0, 254), ip(54, "10.0.0.254"), ip(50, "10.0.0.12")}, want: ack, addr: "10.0.0.12", state: "ACK"},
		{name: "another server", leases: []*api.Lease{lease("10.0.0.12", macA, "OFFER", time.Second)}, mac: macA, typ: request,
			with: []change{ip(54, "10.0.0.2"), ip(50, "10.0.0.12")}, want: none, addr: "10.0.0.12", state: "gone"},
		{name: "selecting what is another's", leases: all, mac: macA, typ: request, with: []change{ip(54, "10.0.0.1"), ip(50, "10.0.0.10")}, want: nak},
		{name: "selecting without an offer", mac: macA, typ: request, with: []change{ip(54, "10.0.0.1"), ip(50, "10.0.0.10")}, want: nak},
		{name: "init-reboot", leases: []*api.Lease{lease("10.0.0.12", macA, "ACK", time.Hour)}, mac: macA, typ: request, with: []change{ip(50, "10.0.0.12")}, want: ack, addr: "10.0.0.12", state: "ACK"},
		{name: "init-reboot, not known here", mac: macA, typ: request, with: []change{ip(50, "10.0.0.12")}, want: none},
		{name: "init-reboot, another's", leases: all, mac: macA, typ: request, with: []change{ip(50, "10.0.0.10")}, want: nak},
		{name: "init-reboot, on the wrong network of ours", mac: macA, typ: request, with: []change{ip(50, "10.1.0.12")}, want: nak},
		{name: "init-reboot outside every subnet", mac: macA, typ: request, with: []change{ip(50, "192.168.7.7")}, want: none},
		{name: "init-reboot with a reservation elsewhere", mac: macR, typ: request, with: []change{ip(50, "10.0.0.12")}, want: nak},
		{name: "reserved, without an offer", mac: macR, typ: request, with: []change{ip(50, "10.0.0.200")}, want: ack, addr: "10.0.0.200", state: "ACK"},
		{name: "somebody else's reservation", mac: macA, typ: request, with: []change{ciaddr("10.0.0.200")}, want: nak},
		{name: "renew", leases: []*api.Lease{lease("10.0.0.12", macA, "ACK", time.Second)}, mac: macA, typ: request, with: []change{ciaddr("10.0.0.12")}, want: ack, addr: "10.0.0.12", state: "ACK"},
		{name: "renew what is not known", mac: macA, typ: request, with: []change{ciaddr("10.0.0.12")}, want: nak},
		{name: "renew outside every subnet", mac: macA, typ: request, with: []change{ciaddr("192.168.7.7")}, want: none},
		{name: "renew in a disabled subnet", subnet: func(s *api.Subnet) { s.Enabled = false }, leases: []*api.Lease{lease("10.0.0.12", macA, "ACK", time.Second)},
			mac: macA, typ: request, with: []change{ciaddr("10.0.0.12")}, want: none, addr: "10.0.0.12", state: "ACK"},

		{name: "release", leases: []*api.Lease{lease("10.0.0.12", macA, "ACK", time.Hour)}, mac: macA, typ: dhcpv4.MessageTypeRelease, with: []change{ciaddr("10.0.0.12")}, addr: "10.0.0.12", state: "expired"},
		{name: "release of another's", leases: all, mac: macA, typ: dhcpv4.MessageTypeRelease, with: []change{ciaddr("10.0.0.10")}, addr: "10.0.0.10", state: "ACK"},
		{name: "decline", leases: []*api.Lease{lease("10.0.0.12", macA, "ACK", time.Hour)}, mac: macA, typ: dhcpv4.MessageTypeDecline, with: []change{ip(50, "10.0.0.12")}, addr: "10.0.0.12", state: "INVALID"},
		{name: "decline of another's", leases: all, mac: macA, typ: dhcpv4.MessageTypeDecline, with: []change{ip(50, "10.0.0.10")}, addr: "10.0.0.10", state: "ACK"},
		{name: "inform", mac: macA, typ: dhcpv4.MessageTypeInform, with: []change{ciaddr("10.0.0.77")}, want: ack, addr: "10.0.0.77", state: "gone"},
		{name: "inform from elsewhere", mac: macA, typ: dhcpv4.MessageTypeInform, with: []change{ciaddr("192.168.7.7")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := newDB(t, mem.New(mem.Config{}), func(tx *resource.Tx) error {
				for _, l := range tt.leases {
					c := *l
					require.NoError(t, api.Leases.Create(tx, &c))
				}
				require.NoError(t, api.Subnets.Create(tx, &api.Subnet{Name: "other", Enabled: true, Subnet: "10.1.0.1/24", ActiveStart: "10.1.0.10", ActiveEnd: "10.1.0.20"}))
				require.NoError(t, api.Reservations.Create(tx, &api.Reservation{Addr: "10.0.0.200", Token: macR}))
				return api.Subnets.Create(tx, subnet(tt.subnet))
			})
			var d Decider
			var got Reply
			require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) (err error) {
				got, err = d.Decide(tx, epoch, query(t, tt.mac, tt.typ, tt.with...))
				return err
			}))
			require.Equal(t, tt.want, got.Type, got.Why)
			if tt.want == offer || (tt.want == ack && tt.typ == request) {
				assert.Equal(t, tt.addr, got.Addr.String())
				assert.Equal(t, []byte{255, 255, 255, 0}, got.Options[1])
			}
			if tt.addr != "" {
				assert.Equal(t, tt.state, stateOf(db, tt.addr))
			}
		})
	}
}

func stateOf(db *resource.DB, addr string) string {
	l, err := api.Leases.Get(db.View(), addr)
	switch {
	case err != nil:
		return "gone"
	case l.State == "ACK" && !l.ExpireTime.After(epoch):
		return "expired"
	}
	return l.State
}

func TestStrangersMeetSilence(t *testing.T) {
	t.Parallel()
	db := newDB(t, mem.New(mem.Config{}), func(tx *resource.Tx) error { return api.Subnets.Create(tx, subnet(nil)) })
	q := query(t, macA, discover)
	q.Local = []netip.Prefix{netip.MustParsePrefix("172.16.0.1/16")}
	var d Decider
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		r, err := d.Decide(tx, epoch, q)
		assert.Equal(t, none, r.Type)
		return err
	}))
	assert.Zero(t, api.Leases.Len(db.View()))
	for _, data := range [][]byte{nil, []byte("hello"), make([]byte, 300), raw("01:00:5e:00:00:01", discover), raw(macA, 0)} {
		_, err := Parse(data)
		assert.Error(t, err)
	}
}

// TestOneHolder lets clients do random things for a while: no address may ever
// be granted to two of them at once.
func TestOneHolder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		oneHolder(t, rand.New(rand.NewPCG(seed, 7)))
	}
}

type granted struct {
	mac   string
	until time.Time
}

func oneHolder(t *testing.T, rnd *rand.Rand) {
	db := newDB(t, mem.New(mem.Config{}), func(tx *resource.Tx) error {
		require.NoError(t, api.Reservations.Create(tx, &api.Reservation{Addr: "10.0.0.11", Token: macR}))
		return api.Subnets.Create(tx, subnet(nil))
	})
	macs := []string{macA, macB, macR, "52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03"}
	held := map[netip.Addr]granted{}
	var d Decider
	for now, step := epoch, 0; step < 400; step++ {
		now = now.Add(time.Duration(rnd.IntN(120)) * time.Second)
		mac, at := macs[rnd.IntN(len(macs))], fmt.Sprintf("10.0.0.%d", 9+rnd.IntN(6))
		do := [][]change{{ip(50, at)}, {ip(50, at), ip(54, "10.0.0.1")}, {ciaddr(at)}, nil}[rnd.IntN(4)]
		typ := []dhcpv4.MessageType{discover, discover, request, request, request, dhcpv4.MessageTypeRelease, dhcpv4.MessageTypeDecline}[rnd.IntN(7)]
		var r Reply
		require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) (err error) {
			r, err = d.Decide(tx, now, query(t, mac, typ, do...))
			return err
		}))
		a := netip.MustParseAddr(at)
		if h := held[a]; h.mac == mac && (typ == dhcpv4.MessageTypeRelease || typ == dhcpv4.MessageTypeDecline) {
			delete(held, a)
		}
		if r.Type == ack {
			if h, ok := held[r.Addr]; ok && h.until.After(now) {
				require.Equal(t, h.mac, mac, "step %d: %s is granted twice", step, r.Addr)
			}
			for other, h := range held { // a client has one address on a link
				if h.mac == mac {
					delete(held, other)
				}
			}
			held[r.Addr] = granted{mac, now.Add(r.Lease)}
		}
	}
	require.NotEmpty(t, held)
}

// TestNextFreeIsCheap fills a /16 and counts what the last client costs.
func TestNextFreeIsCheap(t *testing.T) {
	t.Parallel()
	db := newDB(t, mem.New(mem.Config{}), func(tx *resource.Tx) error {
		return api.Subnets.Create(tx, &api.Subnet{Name: "big", Enabled: true, Subnet: "10.8.0.1/16", ActiveStart: "10.8.0.2", ActiveEnd: "10.8.15.255"})
	})
	var d Decider
	seen := map[netip.Addr]bool{}
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		for i := range 4094 {
			q := query(t, fmt.Sprintf("52:54:00:00:%02x:%02x", i>>8, i&255), discover)
			q.Local = []netip.Prefix{netip.MustParsePrefix("10.8.0.1/16")}
			r, err := d.Decide(tx, epoch, q)
			require.NoError(t, err)
			require.Equal(t, offer, r.Type)
			require.False(t, seen[r.Addr], r.Addr)
			seen[r.Addr] = true
			require.Equal(t, num(r.Addr)+1, d.cursors["big"].next, "the search went past the first free address")
		}
		return nil
	}))
}

func TestStoreFailureIsSilence(t *testing.T) {
	t.Parallel()
	st := store.NewFaulty(mem.New(mem.Config{}), store.Faults{})
	db := newDB(t, st, func(tx *resource.Tx) error { return api.Subnets.Create(tx, subnet(nil)) })
	st.Set(store.Faults{Every: 1})
	_, err := New(Config{DB: db}).decide(t.Context(), query(t, macA, discover))
	require.ErrorContains(t, err, "injected")
	assert.Zero(t, api.Leases.Len(db.View()))
}

func TestMachineFollowsItsLease(t *testing.T) {
	t.Parallel()
	db := newDB(t, mem.New(mem.Config{}), func(tx *resource.Tx) error {
		require.NoError(t, api.Machines.Create(tx, &api.Machine{Name: "m1", Uuid: "11111111-1111-4111-8111-111111111111", HardwareAddrs: []string{macA}}))
		require.NoError(t, api.Leases.Create(tx, lease("10.0.0.12", macA, "OFFER", time.Second)))
		return api.Subnets.Create(tx, subnet(nil))
	})
	_, err := New(Config{DB: db}).decide(t.Context(), query(t, macA, request, ip(54, "10.0.0.1"), ip(50, "10.0.0.12")))
	require.NoError(t, err)
	assert.Equal(t, "10.0.0.12", api.Machines.One(db.View(), api.ByName, "m1").Address)
}

func bootTo(file string) BootFunc {
	return func(_ resource.Reader, q pxe.BootQuery) pxe.BootAnswer {
		return pxe.BootAnswer{File: fmt.Sprintf("%s-%d-%v-%s", file, q.Arch, q.IPXE, q.Server)}
	}
}

func TestBootOptions(t *testing.T) {
	t.Parallel()
	pxeClient := []change{text(60, "PXEClient:Arch:00007"), opt(93, 0, 7), opt(55, 1, 3, 67), text(12, "n1")}
	httpClient := []change{text(60, "HTTPClient:Arch:00016"), opt(93, 0, 16), opt(55, 1, 3, 67)}
	proxy := func(s *api.Subnet) { s.Proxy = true }
	tests := []struct {
		name   string
		subnet func(*api.Subnet)
		with   []change
		binl   bool
		typ    dhcpv4.MessageType
		want   dhcpv4.MessageType
		file   string
		opts   dhcpv4.Options // wanted among others
	}{
		{name: "PXE", with: pxeClient, typ: discover, want: offer, file: "f-7-false-10.0.0.1"},
		{name: "next server", subnet: func(s *api.Subnet) { s.NextServer = "10.0.0.9" }, with: pxeClient, typ: discover, want: offer, file: "f-7-false-10.0.0.9"},
		{name: "does not ask", with: []change{text(60, "PXEClient")}, typ: discover, want: offer},
		{name: "unmanaged", subnet: func(s *api.Subnet) { s.Unmanaged = true }, with: pxeClient, typ: discover, want: offer},
		{name: "option 67 by hand", subnet: func(s *api.Subnet) { s.Options = []api.DhcpOption{{Code: 67, Value: "my.efi"}} }, with: pxeClient, typ: discover, want: offer, file: "my.efi"},
		{name: "option 67 forbids", subnet: func(s *api.Subnet) { s.Options = []api.DhcpOption{{Code: 67}} }, with: pxeClient, typ: discover, want: offer},
		{name: "iPXE", with: append([]change{text(77, "iPXE"), opt(175, 19, 1, 1)}, pxeClient...), typ: discover, want: offer, file: "f-7-true-10.0.0.1", opts: dhcpv4.Options{175: {176, 1, 1}}},
		{name: "HTTP boot", with: httpClient, typ: discover, want: offer, file: "f-16-false-10.0.0.1", opts: dhcpv4.Options{60: []byte("HTTPClient")}},
		{name: "proxy offer", subnet: proxy, with: append([]change{opt(93, 0, 0)}, pxeClient[0], pxeClient[2]), typ: discover, want: offer, file: "f-0-false-10.0.0.1",
			opts: dhcpv4.Options{60: []byte("PXEClient"), 43: {6, 1, 8, 255}}},
		{name: "proxy, no PXE client", subnet: proxy, typ: discover, want: none},
		{name: "proxy, another's lease", subnet: proxy, with: pxeClient, typ: request, want: none},
		{name: "BINL", subnet: proxy, with: append([]change{ciaddr("10.0.0.77")}, pxeClient...), binl: true, typ: request, want: ack, file: "f-7-false-10.0.0.1", opts: dhcpv4.Options{60: []byte("PXEClient")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := newDB(t, mem.New(mem.Config{}), func(tx *resource.Tx) error { return api.Subnets.Create(tx, subnet(tt.subnet)) })
			q := query(t, macA, tt.typ, tt.with...)
			q.BINL = tt.binl
			r, err := New(Config{DB: db, Boot: bootTo("f")}).decide(t.Context(), q)
			require.NoError(t, err)
			require.Equal(t, tt.want, r.Type, r.Why)
			assert.Equal(t, tt.file, r.File)
			for code, v := range tt.opts {
				assert.Equal(t, v, r.Options[code], "option %d", code)
			}
			if tt.want == none {
				return
			}
			p, err := dhcpv4.FromBytes(Encode(q, r))
			require.NoError(t, err)
			assert.Equal(t, tt.file, p.BootFileName)
			assert.Equal(t, q.Packet.TransactionID, p.TransactionID)
			if tt.name == "PXE" {
				assert.Equal(t, "300", fmt.Sprint(p.IPAddressRenewalTime(0).Seconds()))
				assert.Equal(t, "10.0.0.1", p.ServerIPAddr.String())
				assert.Nil(t, p.Options[15], "an option that nobody asked for")
			}
		})
	}
}

func FuzzPacket(f *testing.F) {
	f.Add(raw(macA, discover, text(60, "PXEClient"), opt(55, 67), opt(82, 5, 4, 10, 0, 0, 0)))
	f.Add(raw(macA, request, ciaddr("10.0.0.10"), opt(175, 19, 1, 1), text(77, "iPXE")))
	db := newDB(f, mem.New(mem.Config{}), func(tx *resource.Tx) error { return api.Subnets.Create(tx, subnet(nil)) })
	s := New(Config{DB: db, Boot: bootTo("f")})
	f.Fuzz(func(t *testing.T, data []byte) {
		q, err := Parse(data)
		if err != nil {
			return
		}
		q.Local = local
		r, err := s.decide(context.Background(), q)
		require.NoError(t, err)
		if r.Type != none {
			_, err = dhcpv4.FromBytes(Encode(q, r))
			require.NoError(t, err)
		}
	})
}

func TestAsksIfAlive(t *testing.T) {
	t.Parallel()
	from := netip.MustParseAddrPort("10.0.0.9:40000")
	for _, c := range []struct {
		name string
		typ  dhcpv4.MessageType
		with []change
		from netip.AddrPort
		want bool
	}{
		{"info status", request, nil, from, true},
		{"a client without an address", request, nil, netip.MustParseAddrPort("0.0.0.0:68"), false},
		{"discovers", discover, nil, from, false},
		{"renews", request, []change{ciaddr("10.0.0.9")}, from, false},
		{"requests", request, []change{ip(50, "10.0.0.9")}, from, false},
		{"PXE at the BINL port", request, []change{text(60, "PXEClient")}, from, false},
	} {
		q := query(t, macA, c.typ, c.with...)
		q.From = c.from
		require.Equal(t, c.want, q.asksIfAlive(), c.name)
		if c.want {
			r, err := (&Decider{}).Decide(nil, epoch, q)
			require.NoError(t, err)
			to, err := destination(q, r, ports{67, 68}, nil)
			require.NoError(t, err)
			assert.Equal(t, []any{nak, from}, []any{r.Type, to}, c.name)
		}
	}
}
