package media_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/blob"
	"drpd/pkg/engine"
	"drpd/pkg/iso9660/isotest"
	"drpd/pkg/media"
	"drpd/pkg/resource"
	"drpd/pkg/store"
	"drpd/pkg/store/mem"
	"drpd/pkg/unpack"
)

type rig struct {
	db    *resource.DB
	blobs *blob.Dir
	store store.Store

	limits unpack.Limits
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{store: mem.New(mem.Config{})}
	r.open(t)
	var err error
	r.blobs, err = blob.OpenDir(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { r.blobs.Close() })
	return r
}

func (r *rig) open(t *testing.T) {
	t.Helper()
	var err error
	r.db, err = resource.Open(t.Context(), resource.Config{Store: r.store, Kinds: append(api.Kinds(), engine.Waits)})
	require.NoError(t, err)
}

// run starts rule and action; they end with the test, or with stop.
func (r *rig) run(t *testing.T) (stop func()) {
	t.Helper()
	w := &media.Worker{DB: r.db, Blobs: r.blobs, Limits: r.limits}
	e, err := engine.New(engine.Config{DB: r.db, Rules: []engine.Rule{media.Rule()}, Actions: []engine.Runner{w.Action()}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	stop = func() { cancel(); <-ended; ended <- nil }
	t.Cleanup(stop)
	return stop
}

func (r *rig) update(t *testing.T, fn func(tx *resource.Tx) error) {
	t.Helper()
	require.NoError(t, r.db.Update(t.Context(), fn))
}

// upload is what the API does with an image.
func (r *rig) upload(t *testing.T, iso string, data []byte) {
	t.Helper()
	info, err := r.blobs.Put(t.Context(), "isos/"+iso, bytes.NewReader(data), blob.PutOptions{MaxSize: 1 << 20})
	require.NoError(t, err)
	r.update(t, func(tx *resource.Tx) error {
		if err := api.UnpackAgain(tx, iso, info.SHA256); err != nil {
			return err
		}
		return api.Files.Put(tx, &api.File{Path: "isos/" + iso, Size: info.Size, SHA256: info.SHA256})
	})
}

// until waits for a state of a medium.
func (r *rig) until(t *testing.T, dir, state string) *api.Medium {
	t.Helper()
	for {
		_, wake, err := r.db.Since(r.db.Seq())
		require.NoError(t, err)
		if m, err := api.Media.Get(r.db.View(), dir); err == nil && m.State == state {
			return m
		}
		select {
		case <-wake:
		case <-t.Context().Done():
			t.Fatalf("medium %s never %s", dir, state)
		}
	}
}

func (r *rig) env(t *testing.T, name string) *api.BootEnv {
	t.Helper()
	e, err := api.BootEnvs.Get(r.db.View(), name)
	require.NoError(t, err)
	return e
}

func (r *rig) read(t *testing.T, name string) string {
	t.Helper()
	f, err := r.blobs.Open(name)
	require.NoError(t, err)
	defer f.Close()
	text, err := io.ReadAll(f)
	require.NoError(t, err)
	return string(text)
}

func debian(t *testing.T, r *rig) {
	t.Helper()
	r.update(t, func(tx *resource.Tx) error {
		return api.BootEnvs.Create(tx, &api.BootEnv{Name: "deb-install", Kernel: "linux",
			OS: api.OsInfo{Name: "deb", IsoFile: "deb.iso", SupportedArchitectures: map[string]api.ArchInfo{"arm64": {IsoFile: "arm.iso"}}}})
	})
}

func TestUploadedMediumMakesItsEnvironmentAvailable(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.run(t)
	debian(t, r)
	assert.Equal(t, []string{`file "isos/deb.iso" does not exist`, `media "deb/install" does not exist`}, r.env(t, "deb-install").Errors)
	r.upload(t, "arm.iso", isotest.Image(map[string]string{"linux": "arm kernel"}))
	r.until(t, "deb/install/arm64", api.MediumUnpacked)
	r.upload(t, "deb.iso", isotest.Image(map[string]string{"linux": "kernel", "dists/new/Release": "r", "dists/stable": "->new", "out": "->../../../joblogs/x"}))
	m := r.until(t, "deb/install", api.MediumUnpacked)
	assert.Equal(t, []any{2, int64(7)}, []any{m.Files, m.Size})
	assert.True(t, r.env(t, "deb-install").Available, r.env(t, "deb-install").Errors)
	assert.Equal(t, "kernel", r.read(t, "media/deb/install/linux"))
	assert.Equal(t, "r", r.read(t, "media/deb/install/dists/stable/Release"), "through the link")
	assert.Equal(t, "arm kernel", r.read(t, "media/deb/install/arm64/linux"), "a directory within stays")
	_, err := r.blobs.Open("media/deb/install/out")
	assert.Error(t, err, "no link leads out")

	r.upload(t, "deb.iso", isotest.Image(map[string]string{"linux": "newer"}))
	assert.Equal(t, []string{"medium deb.iso is being unpacked"}, r.env(t, "deb-install").Errors)
	r.until(t, "deb/install", api.MediumUnpacked)
	assert.Equal(t, "newer", r.read(t, "media/deb/install/linux"))
	_, err = r.blobs.Open("media/deb/install/dists/new/Release")
	assert.Error(t, err, "nothing of the older image is left")

	r.update(t, func(tx *resource.Tx) error { return media.Purge(tx, r.env(t, "deb-install"), []string{"amd64"}, false) })
	r.until(t, "deb/install", api.MediumPurged)
	assert.Contains(t, r.env(t, "deb-install").Errors[0], "was purged")
	_, err = r.blobs.Open("media/deb/install/linux")
	assert.Error(t, err)
	r.update(t, func(tx *resource.Tx) error { return media.Purge(tx, r.env(t, "deb-install"), nil, true) })
	r.until(t, "deb/install", api.MediumUnpacked)
	assert.Equal(t, "newer", r.read(t, "media/deb/install/linux"))
}

func TestBadImageIsSaid(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.run(t)
	debian(t, r)
	r.upload(t, "deb.iso", []byte("no image"))
	r.until(t, "deb/install", api.MediumFailed)
	assert.Contains(t, r.env(t, "deb-install").Errors[0], "neither tar")
	r.upload(t, "deb.iso", isotest.Image(map[string]string{"linux": "k"}))
	r.until(t, "deb/install", api.MediumUnpacked)
	assert.True(t, r.env(t, "deb-install").Available)
}

// TestFailedUnpackingLeavesNothing of what it had written before, but the media
// within its directory.
func TestFailedUnpackingLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.limits = unpack.Limits{Bytes: 5000}
	r.run(t)
	debian(t, r)
	r.upload(t, "deb.iso", isotest.Image(map[string]string{"a": "1", "b/c": "2", "z": strings.Repeat("x", 5001)}))
	r.until(t, "deb/install", api.MediumFailed)
	list, err := r.blobs.List(t.Context(), "media/")
	require.NoError(t, err)
	assert.Empty(t, list)
}

func TestCrashWhileUnpacking(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	debian(t, r)
	r.upload(t, "deb.iso", isotest.Image(map[string]string{"linux": "k"}))
	// As it is after a kill halfway: claimed, some of it written.
	file, err := api.Files.Get(r.db.View(), "isos/deb.iso")
	require.NoError(t, err)
	r.update(t, func(tx *resource.Tx) error {
		return api.Media.Put(tx, &api.Medium{Dir: "deb/install", Iso: "deb.iso", SHA256: file.SHA256, State: api.MediumUnpacking})
	})
	_, err = r.blobs.Put(t.Context(), "media/deb/install/half", bytes.NewReader([]byte("x")), blob.PutOptions{MaxSize: 9, Bulk: true})
	require.NoError(t, err)
	r.open(t)
	assert.False(t, r.env(t, "deb-install").Available)
	r.run(t)
	r.until(t, "deb/install", api.MediumUnpacked)
	assert.Equal(t, "k", r.read(t, "media/deb/install/linux"))
	_, err = r.blobs.Open("media/deb/install/half")
	assert.Error(t, err)
}
