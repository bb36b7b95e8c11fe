package pxe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pin/tftp/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

const (
	macKnown  = "52:54:00:00:00:0a" // machine discovered, boots work
	macLocal  = "52:54:00:00:00:0b" // machine on-disk, boots local
	macInst   = "52:54:00:00:00:0c" // machine to-install
	uuidKnown = "11111111-1111-4111-8111-111111111111"
	uuidLocal = "22222222-2222-4222-8222-222222222222"
	uuidInst  = "33333333-3333-4333-8333-333333333333"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fixture is a Server with three machines, a loader directory and blobs.
type fixture struct {
	*Server
	db    *resource.DB
	mu    sync.Mutex
	steps []string
}

// expand replaces the few template fields that the fixture uses.
func expand(_ resource.Reader, t Text) (string, error) {
	if strings.Contains(t.Text, "{{fail}}") {
		return "", fmt.Errorf("no such function")
	}
	id, mac := "none", t.MAC
	if t.Machine != nil {
		id = t.Machine.Uuid
		if mac == "" && len(t.Machine.HardwareAddrs) > 0 {
			mac = t.Machine.HardwareAddrs[0]
		}
	}
	return strings.NewReplacer("{{uuid}}", id, "{{env}}", t.Env.Name, "{{client}}", t.Client.String(), "{{server}}", t.Server.String(),
		"{{MacAddr}}", strings.ReplaceAll(mac, ":", "-")).Replace(t.Text), nil
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	dir := t.TempDir()
	f := &fixture{}
	for name, size := range map[string]int{"undionly.kpxe": 70000, "snponly.efi": 3000, "ipxe.efi": 100, "ipxe.pxe": 100} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o644))
	}
	blobs := t.TempDir()
	for _, p := range []string{"files/work/vmlinuz", "files/work/init.img", "isos/d.iso"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(blobs, p)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(blobs, p), []byte("content of "+p), 0o644))
	}
	var err error
	f.db, err = resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), proof.Claims), Now: func() time.Time { return epoch }})
	require.NoError(t, err)
	require.NoError(t, f.db.Update(t.Context(), fill))
	f.Server = New(Config{
		DB: f.db, Loaders: dir, Render: expand,
		Open: func(p string) (*os.File, error) { return os.Open(filepath.Join(blobs, p)) },
		Record: func(mac, step, detail string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.steps = append(f.steps, mac+" "+step+" "+detail)
		},
	})
	return f
}

func fill(tx *resource.Tx) error {
	files := []string{"files/work/vmlinuz", "files/work/init.img"}
	for _, p := range files {
		if err := api.Files.Create(tx, &api.File{Path: p}); err != nil {
			return err
		}
	}
	scripts := []api.TemplateInfo{
		{Name: "seed", Path: "machines/{{uuid}}/preseed.cfg", Contents: "seed of {{uuid}} for {{client}} from {{server}}"},
		{Name: "join", Path: "machines/join-up.sh", Contents: "join {{env}}"},
	}
	for _, e := range []*api.BootEnv{
		{Name: "discovery", OnlyUnknown: true, Kernel: "work/vmlinuz", Initrds: []string{"work/init.img"}, BootParams: "drpd.env={{env}}\n quiet", Templates: scripts},
		{Name: "work", Kernel: "work/vmlinuz", Initrds: []string{"work/init.img"}, BootParams: "id={{uuid}}", Templates: scripts},
		{Name: "os-install", Kernel: "work/vmlinuz", BootParams: "id={{uuid}}", Templates: scripts},
		{Name: "broken", Kernel: "work/vmlinuz", BootParams: "{{fail}}"},
		{Name: "missing", Kernel: "work/nothing"},
		{Name: "local"},
	} {
		if err := api.BootEnvs.Create(tx, e); err != nil {
			return err
		}
	}
	for _, m := range []*api.Machine{
		{Name: "known", Uuid: uuidKnown, HardwareAddrs: []string{macKnown}, BootEnv: "work", Address: "10.0.0.50"},
		{Name: "disk", Uuid: uuidLocal, HardwareAddrs: []string{macLocal}, BootEnv: "local"},
		{Name: "inst", Uuid: uuidInst, HardwareAddrs: []string{macInst}, BootEnv: "os-install",
			Boot: &api.BootState{Intent: "i1", Env: "os-install"}},
	} {
		if err := api.Machines.Create(tx, m); err != nil {
			return err
		}
	}
	if err := api.DiskSurveys.Create(tx, &api.DiskSurvey{Machine: uuidInst}); err != nil {
		return err
	}
	// The known machine's old address is now a stranger's.
	if err := api.Leases.Create(tx, &api.Lease{Addr: "10.0.0.50", Token: "52:54:00:00:00:ff", State: "ACK", ExpireTime: epoch.Add(time.Hour)}); err != nil {
		return err
	}
	return api.Leases.Create(tx, &api.Lease{Addr: "10.0.0.10", Token: macKnown, State: "ACK", ExpireTime: epoch.Add(time.Hour)})
}

var (
	serverAddr = netip.MustParseAddr("10.0.0.1")
	someone    = netip.MustParseAddr("10.0.0.99")
)

// lease gives an address to a MAC, which is what shows a client to be a machine.
func (f *fixture) lease(t testing.TB, addr, mac string) {
	t.Helper()
	require.NoError(t, f.db.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Leases.Put(tx, &api.Lease{Addr: addr, Token: mac, State: "ACK", ExpireTime: epoch.Add(time.Hour)})
	}))
}

func (f *fixture) body(t *testing.T, path string, client netip.Addr) (string, error) {
	t.Helper()
	a, err := f.answer(t.Context(), Request{Path: path, Client: client, Server: serverAddr}, false)
	if err != nil {
		return "", err
	}
	if a.File == nil {
		return a.Body, nil
	}
	defer a.File.Close()
	data, err := io.ReadAll(a.File)
	return string(data), err
}

func TestScripts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, path, client string
		want               []string // lines
		not                string
	}{
		{name: "dispatch", path: "default.ipxe", want: []string{"chain --autofree http://10.0.0.1:8091/${netX/mac:hexhyp}.ipxe ||"}},
		{name: "known by MAC", path: "52-54-00-00-00-0A.ipxe", client: "10.0.0.10", want: []string{
			"kernel http://10.0.0.1:8091/files/work/vmlinuz initrd=init.img id=" + uuidKnown + " || goto failed",
			"initrd --name init.img http://10.0.0.1:8091/files/work/init.img || goto failed"}},
		{name: "MAC with colons", path: "/52:54:00:00:00:0a.ipxe", client: "10.0.0.10", want: []string{"echo drpd: known boots work"}},
		{name: "by its lease", path: "10.0.0.10.ipxe", client: "10.0.0.10", want: []string{"echo drpd: known boots work"}},
		{name: "unknown gets discovery", path: "52-54-00-00-00-ff.ipxe", want: []string{
			"kernel http://10.0.0.1:8091/files/work/vmlinuz initrd=init.img drpd.env=discovery quiet || goto failed"}},
		{name: "local", path: "52-54-00-00-00-0b.ipxe", want: []string{"iseq ${platform} efi && exit 1 ||", "sanboot --no-describe --drive 0x80 || exit 1"}, not: "kernel"},
		{name: "a stale Address is nobody", path: "10.0.0.50.ipxe", client: "10.0.0.50", want: []string{"echo drpd: unknown machine boots discovery"}},
		{name: "pxelinux", path: "pxelinux.cfg/01-52-54-00-00-00-0a", client: "10.0.0.10", want: []string{"  KERNEL files/work/vmlinuz", "  APPEND initrd=files/work/init.img id=" + uuidKnown}},
		{name: "pxelinux by address", path: "pxelinux.cfg/0A00000A", client: "10.0.0.10", want: []string{"  KERNEL files/work/vmlinuz"}},
		{name: "pxelinux local", path: "pxelinux.cfg/01-52-54-00-00-00-0b", want: []string{"  LOCALBOOT 0"}, not: "KERNEL"},
		{name: "grub", path: "grub/grub.cfg", client: "10.0.0.10", want: []string{"  linux /files/work/vmlinuz id=" + uuidKnown, "  initrd /files/work/init.img"}},
		{name: "grub by MAC", path: "grub/52:54:00:00:00:0b.cfg", want: []string{"exit 1"}, not: "linux"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			client := someone
			if tt.client != "" {
				client = netip.MustParseAddr(tt.client)
			}
			got, err := f.body(t, tt.path, client)
			require.NoError(t, err)
			for _, line := range tt.want {
				assert.Contains(t, strings.Split(got, "\n"), line, got)
			}
			if tt.not != "" {
				assert.NotContains(t, got, tt.not)
			}
		})
	}
}

func TestInstallerGoesOutOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.lease(t, "127.0.0.1", macInst)
	here := netip.MustParseAddr("127.0.0.1")
	srv := httptest.NewServer(f.Handler())
	defer srv.Close()
	path := srv.URL + "/52-54-00-00-00-0c.ipxe"
	head, err := http.Head(path)
	require.NoError(t, err)
	head.Body.Close()
	assert.False(t, api.Machines.One(f.db.View(), api.ByName, "inst").Boot.Served, "HEAD must not use the intent up")

	var wg sync.WaitGroup
	got := make([]string, 8)
	for i := range got {
		wg.Go(func() {
			if r, err := http.Get(path); err == nil {
				b, _ := io.ReadAll(r.Body)
				r.Body.Close()
				got[i] = string(b)
			}
		})
	}
	wg.Wait()
	installers := 0
	for _, s := range got {
		if strings.Contains(s, "files/work/vmlinuz") {
			installers++
		} else {
			assert.Contains(t, s, "sanboot")
		}
	}
	assert.Equal(t, 1, installers)
	seed, err := f.body(t, "machines/"+uuidInst+"/preseed.cfg", here)
	require.NoError(t, err, "a running installer still gets its files")
	assert.Contains(t, seed, uuidInst)

	require.NoError(t, f.db.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, uuidInst, func(m *api.Machine) error {
			m.Boot = &api.BootState{Intent: "i2", Env: "os-install"}
			return nil
		})
	}))
	stranger, err := f.body(t, "52-54-00-00-00-0c.ipxe", netip.MustParseAddr("10.0.0.10"))
	assert.ErrorIs(t, err, ErrNotFound, stranger)
	again, err := f.body(t, "52-54-00-00-00-0c.ipxe", here)
	require.NoError(t, err)
	assert.Contains(t, again, "files/work/vmlinuz", "a new intent")
}

func TestNeverAnInstallerWithoutIntent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		boot *api.BootState
		env  string
		mac  string
	}{
		{"no intent", nil, "os-install", macInst},
		{"intent for another environment", &api.BootState{Intent: "i", Env: "work"}, "os-install", macInst},
		{"served", &api.BootState{Intent: "i", Env: "os-install", Served: true}, "os-install", macInst},
		{"called home", &api.BootState{Intent: "i", Env: "os-install", Home: true}, "os-install", macInst},
		{"broken template", nil, "broken", macInst},
		{"files missing", nil, "missing", macInst},
		{"nothing set", nil, "", macInst},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.lease(t, someone.String(), macInst)
			require.NoError(t, f.db.Update(t.Context(), func(tx *resource.Tx) error {
				return api.Machines.Modify(tx, uuidInst, func(m *api.Machine) error {
					m.Boot, m.BootEnv = tt.boot, tt.env
					return nil
				})
			}))
			got, err := f.body(t, tt.mac+".ipxe", someone)
			require.NoError(t, err)
			assert.Contains(t, got, "sanboot --no-describe")
			assert.NotContains(t, got, "vmlinuz")
		})
	}
	t.Run("unknown machines", func(t *testing.T) {
		f := newFixture(t)
		require.NoError(t, f.db.Update(t.Context(), func(tx *resource.Tx) error {
			return api.Preferences.Put(tx, &api.Preference{Name: "unknownBootEnv", Value: "os-install"})
		}))
		got, err := f.body(t, "52-54-00-00-00-ff.ipxe", someone)
		require.NoError(t, err)
		assert.NotContains(t, got, "vmlinuz")
	})
}

func TestTemplatesAndBlobs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	tests := []struct{ path, client, want string }{
		{"machines/" + uuidKnown + "/preseed.cfg", "10.0.0.10", "seed of " + uuidKnown + " for 10.0.0.10 from 10.0.0.1"},
		{"machines/" + uuidKnown + "/seed", "10.0.0.10", "seed of " + uuidKnown + " for 10.0.0.10 from 10.0.0.1"},
		{"machines/join-up.sh", "10.0.0.99", "join discovery"},
		{"machines/join-up.sh", "10.0.0.10", "join work"},
		{"files/work/vmlinuz", "10.0.0.99", "content of files/work/vmlinuz"},
		{"isos/d.iso", "10.0.0.99", "content of isos/d.iso"},
		// Not for these eyes, or not there:
		{"machines/" + uuidKnown + "/preseed.cfg", "10.0.0.99", ""},
		{macKnown + ".ipxe", "10.0.0.99", ""},
		{"52-54-00-00-00-0b.ipxe", "10.0.0.10", ""},
		{"files/none", "10.0.0.10", ""},
		{"files/work", "10.0.0.10", ""},
		{"machines/" + uuidKnown + "/other", "10.0.0.10", ""},
		{"nothing", "10.0.0.10", ""},
	}
	for _, tt := range tests {
		got, err := f.body(t, tt.path, netip.MustParseAddr(tt.client))
		if tt.want == "" {
			assert.ErrorIs(t, err, ErrNotFound, tt.path)
			continue
		}
		require.NoError(t, err, tt.path)
		assert.Equal(t, tt.want, got)
	}
}

// TestWhatIsHandedOutIsServed walks every answer that Boot can give.
func TestWhatIsHandedOutIsServed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	names := map[string]bool{}
	for arch := range uint16(32) {
		for _, mac := range []string{macKnown, macLocal, macInst, "52:54:00:00:00:ff"} {
			for bits := range 8 {
				q := BootQuery{MAC: mac, Server: serverAddr, Arch: arch, IPXE: bits&1 > 0, NoHTTP: bits&2 > 0, HTTPClient: bits&4 > 0}
				if a := f.Boot(f.db.View(), q); a.File != "" {
					names[a.File] = true
				} else {
					assert.NotEmpty(t, a.Why)
				}
			}
		}
	}
	for name := range names {
		_, err := f.body(t, strings.TrimPrefix(name, "http://10.0.0.1:8091/"), someone)
		assert.NoError(t, err, name)
	}
	for _, want := range []string{"undionly.kpxe", "snponly.efi", "ipxe.pxe", "http://10.0.0.1:8091/snponly.efi", "http://10.0.0.1:8091/default.ipxe"} {
		assert.Contains(t, names, want)
	}
}

func TestTFTP(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.ServeTFTP(ctx, conn) }()
	c, err := tftp.NewClient(conn.LocalAddr().String())
	require.NoError(t, err)
	c.SetTimeout(time.Second)
	c.SetBlockSize(1400)
	c.RequestTSize(true)
	wt, err := c.Receive("/undionly.kpxe", "octet")
	require.NoError(t, err)
	size, ok := wt.(tftp.IncomingTransfer).Size()
	assert.True(t, ok)
	assert.Equal(t, int64(70000), size)
	n, err := wt.WriteTo(io.Discard)
	require.NoError(t, err)
	assert.Equal(t, int64(70000), n)
	for _, bad := range []string{"../etc/passwd", "//etc/passwd", "files/../../x", strings.Repeat("a", 256), "none"} {
		_, err := c.Receive(bad, "octet")
		assert.ErrorContains(t, err, "file", bad)
	}
	rf, err := c.Send("files/x", "octet")
	if err == nil {
		_, err = rf.ReadFrom(strings.NewReader("x"))
	}
	assert.ErrorContains(t, err, "read only")
	cancel()
	require.NoError(t, <-done)
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	srv := httptest.NewServer(f.Handler())
	defer srv.Close()
	do := func(method, path, rng string) (int, string) {
		r, err := http.NewRequest(method, srv.URL+path, nil)
		require.NoError(t, err)
		if rng != "" {
			r.Header.Set("Range", rng)
		}
		w, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer w.Body.Close()
		b, err := io.ReadAll(w.Body)
		require.NoError(t, err)
		return w.StatusCode, string(b)
	}
	code, body := do("GET", "/files/work/vmlinuz", "bytes=0-6")
	assert.Equal(t, 206, code)
	assert.Equal(t, "content", body)
	for path, want := range map[string]int{"/../x": 400, "/%2e%2e/x": 400, "/a%00b": 400, "/none": 404, "//files/x": 400, "/snponly.efi": 200} {
		code, _ := do("GET", path, "")
		assert.Equal(t, want, code, path)
	}
	code, _ = do("POST", "/files/work/vmlinuz", "")
	assert.Equal(t, 405, code)
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	now := epoch
	rec := NewRecorder(RecorderConfig{DB: f.db, Now: func() time.Time { return now }})
	see := func(step, detail string) {
		now = now.Add(time.Second)
		rec.Record(macKnown, step, detail)
	}
	steps := func() (out []string) {
		rec.Flush(t.Context())
		r, err := api.BootRecords.Get(f.db.View(), macKnown)
		require.NoError(t, err)
		assert.Equal(t, uuidKnown, r.Machine)
		for _, s := range r.Steps {
			out = append(out, s.Step)
		}
		return out
	}
	see("dhcp", "OFFER")
	see("tftp", "snponly.efi")
	see("dhcp", "ACK")
	see("http", "default.ipxe")
	see("http", "default.ipxe")
	see("kernel", "files/work/vmlinuz")
	assert.Equal(t, []string{"dhcp", "tftp", "dhcp", "http", "kernel"}, steps())
	see("dhcp", "OFFER")
	assert.Equal(t, []string{"dhcp"}, steps(), "a new boot")
}

func FuzzCleanPath(f *testing.F) {
	for _, s := range []string{"/default.ipxe", "..", "a/../b", "files//x", "pxelinux.cfg/0A00000A", "grub/grub.cfg-01-52-54-00-00-00-0a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		p, err := CleanPath(name)
		if err != nil {
			assert.ErrorIs(t, err, ErrBadName)
			return
		}
		assert.True(t, filepath.IsLocal(p), "%q", p)
		assert.NotContains(t, p, "\x00")
		if b, ok := parseBootName(p); ok {
			assert.NotEmpty(t, b.lang)
		}
	})
}

func FuzzResolve(f *testing.F) {
	f.Add("/52-54-00-00-00-0a.ipxe")
	f.Add("machines/" + uuidKnown + "/seed")
	x := newFixture(f)
	f.Fuzz(func(t *testing.T, path string) {
		a, err := x.Resolve(x.db.View(), Request{Path: path, Client: someone, Server: serverAddr})
		if err == nil && a.File != nil {
			a.File.Close()
		}
	})
}
