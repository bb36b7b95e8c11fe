package daemon_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/client"
	"drpd/pkg/daemon"
	"drpd/pkg/resource"
	"drpd/pkg/sim/inproc"
	"drpd/pkg/sim/redfish"
)

// counting counts the connections to a BMC.
type counting struct {
	net.Listener
	came *atomic.Int64
}

func (c counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.came.Add(1)
	}
	return conn, err
}

// behindBMCs gives each machine of a rack a BMC on loopback, and returns what
// they count.
func behindBMCs(t *testing.T, d *daemon.Daemon, rack *inproc.Rack) (came *atomic.Int64, all []*inproc.Controller) {
	t.Helper()
	came = new(atomic.Int64)
	for i, m := range rack.Machines {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		m.System = fmt.Sprintf("7f3c2f5e-0000-4000-8000-%012d", i)
		c := &inproc.Controller{Machine: m}
		s, err := redfish.New(redfish.Config{User: "u", Password: "p", Machine: c, System: redfish.System{Name: m.Name, MAC: m.MAC, UUID: m.System}})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx, counting{l, came}) }()
		t.Cleanup(func() { cancel(); assert.NoError(t, <-ended) })
		require.NoError(t, d.DB.Update(t.Context(), func(tx *resource.Tx) error {
			return api.Machines.Create(tx, &api.Machine{Name: m.Name, HardwareAddrs: []string{m.MAC}, Params: resource.Params{"ipmi/address": "127.0.0.1",
				"ipmi/mode": "redfish", "ipmi/port": l.Addr().(*net.TCPAddr).Port, "ipmi/username": "u", "ipmi/password": "p"}})
		}))
		all = append(all, c)
	}
	return came, all
}

// untouched is what must be as it was: of each machine its presses, whether it
// is on, its installations and wipes, and what is on its disks.
func untouched(all []*inproc.Controller) (out []string) {
	for _, c := range all {
		m := c.Machine
		on := m.On()
		m.Change(func([]*inproc.Disk) { // its lock
			out = append(out, fmt.Sprintf("%s: on %t, %d presses, %d installs, %d wipes, %d cuts", m.Name, on, c.Presses(), m.Installs, m.Wipes, m.Cuts))
		})
		out = append(out, fmt.Sprint(m.Holds()))
	}
	return out
}

// A backup of a server under load with a live cluster, restored elsewhere and
// activated: no machine is rebooted, no byte of a disk is written, no BMC is
// called before it is activated, and the cluster goes on working with it.
func TestTakeOverOfALiveCluster(t *testing.T) {
	t.Parallel()
	dir, ctx := t.TempDir(), t.Context()
	old, c, stop := server(t, dir)
	rack := inproc.New(4)
	came, all := behindBMCs(t, old, rack)
	site := &inproc.Site{Rack: rack, Core: old.Core}
	rack.Serve(old.Core)
	playing, end := context.WithCancel(context.Background())
	played := make(chan struct{})
	go func() { defer close(played); rack.Run(playing) }()
	t.Cleanup(func() { end(); <-played })
	require.NoError(t, site.Enroll(ctx))
	require.NoError(t, site.Await(ctx, "all discovered", inproc.AllFree(4)))
	require.NoError(t, site.Define(ctx, "demo", 3, "universal-cluster-provision"))
	require.NoError(t, site.Await(ctx, "cluster live", inproc.Live("demo")))

	loaded, unload := context.WithCancel(ctx)
	var writers sync.WaitGroup
	var writes atomic.Int64
	for w := range 2 {
		writers.Go(func() {
			for i := 0; loaded.Err() == nil; i++ {
				if _, err := client.Create(loaded, c, api.Profiles, &api.Profile{Name: fmt.Sprintf("load%d-%d", w, i)}); err == nil {
					writes.Add(1)
				}
			}
		})
	}
	soon(t, "load", func() bool { return writes.Load() > 20 })
	seal := ageSeal(t)
	file, by := backUp(t, dir, seal)
	unload()
	writers.Wait()
	rack.Serve(nil)
	stop()
	to := restoreTo(t, file, by, seal)
	is, calls := untouched(all), came.Load()

	d, _, _ := server(t, to)
	for _, m := range rack.Machines {
		o := api.Machines.One(d.DB.View(), api.ByName, m.Name)
		if o.PoolStatus != api.InUse {
			continue
		}
		token, err := d.MachineToken(o.Uuid)
		require.NoError(t, err)
		a, err := client.New(client.Config{Endpoint: d.APIURL("127.0.0.1"), CAFingerprint: d.Fingerprint(), Token: token, Retries: -1})
		require.NoError(t, err)
		_, err = a.WhoAmI(ctx, client.WhoAmIRequest{MacAddrs: []string{m.MAC}, Env: "local"})
		assert.Equal(t, 503, client.Status(err))
		a.Close()
	}
	assert.Equal(t, calls, came.Load(), "calls of BMCs before the activation")
	_, err := d.Activate(ctx, daemon.Activation{OldServerIsDead: true})
	require.NoError(t, err)

	rack.Serve(d.Core)
	site = &inproc.Site{Rack: rack, Core: d.Core}
	order := &api.WorkOrder{Blueprint: "cluster-rolling", Machine: site.Cluster("demo").Uuid}
	require.NoError(t, d.DB.Update(ctx, func(tx *resource.Tx) error { return api.WorkOrders.Create(tx, order) }))
	require.NoError(t, site.Await(ctx, "the cluster works with the new server", func(v *resource.View) bool {
		o, err := api.WorkOrders.Get(v, order.Uuid)
		return err == nil && o.State == api.OrderFinished
	}))
	assert.Equal(t, is, untouched(all), "reboots and bytes")
	assert.Equal(t, calls, came.Load(), "calls of BMCs after it")
	in, held := 0, 0
	for m := range api.Machines.All(d.DB.View()) {
		switch m.PoolStatus {
		case api.InUse:
			in++
		case api.HoldDestroy:
			held++
		}
	}
	assert.Equal(t, []int{3, 1}, []int{in, held}, "members in use, the Free one held")
	t.Logf("%d writes of load; %d calls of BMCs before, %d after; unchanged: %v", writes.Load(), calls, came.Load(), is)
}
