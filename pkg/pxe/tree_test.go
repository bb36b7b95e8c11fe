package pxe

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

const (
	uuidTree = "44444444-4444-4444-8444-444444444444"
	treeMAC1 = "52:54:00:00:00:1a"
	treeMAC2 = "52:54:00:00:00:1b"
)

// tree is the fixture with a medium, tools, and a machine of two addresses whose
// environment has templates for each of them.
func tree(t testing.TB) *fixture {
	t.Helper()
	f := newFixture(t)
	root := t.TempDir()
	for name, text := range map[string]string{
		"files/own.bin": "own", "media/rocky-9/install/images/vmlinuz": "kernel", "media/rocky-9/install/arm64/images/vmlinuz": "arm kernel",
		"media/debian-12/x": "x", "joblogs/secret": "log",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	f.cfg.Open = func(p string) (*os.File, error) { return os.Open(filepath.Join(root, p)) }
	f.cfg.Tools = t.TempDir()
	for _, name := range []string{"drpcli", "drpcli.arm64.windows", "drpd"} {
		require.NoError(t, os.WriteFile(filepath.Join(f.cfg.Tools, name), []byte("program "+name), 0o700))
	}
	require.NoError(t, f.db.Update(t.Context(), func(tx *resource.Tx) error {
		if err := api.Files.Create(tx, &api.File{Path: "isos/rocky.iso"}); err != nil {
			return err
		}
		env := &api.BootEnv{Name: "rocky-install", Kernel: "images/vmlinuz", BootParams: "id={{uuid}}",
			OS: api.OsInfo{Name: "rocky-9", IsoFile: "rocky.iso", SupportedArchitectures: map[string]api.ArchInfo{
				"amd64": {IsoFile: "rocky.iso"}, "aarch64": {IsoFile: "rocky-arm.iso", BootParams: "arm"}}},
			Templates: []api.TemplateInfo{
				{Name: "per-mac", Path: "seeds/{{MacAddr}}.cfg", Contents: "for {{MacAddr}}"},
				{Name: "shim", Path: "/{{uuid}}/shim.efi", Link: "snponly.efi"},
				{Name: "linked", Path: "machines/{{uuid}}/kernel", Link: "rocky-9/install/images/vmlinuz"},
				{Name: "astray", Path: "machines/{{uuid}}/astray", Link: "../joblogs/secret"},
				{Name: "up", Path: "../../up/{{uuid}}", Contents: "inside"},
			}}
		if err := api.BootEnvs.Create(tx, env); err != nil {
			return err
		}
		m := &api.Medium{Dir: "rocky-9/install", Iso: "rocky.iso", State: api.MediumUnpacked}
		if err := api.Media.Create(tx, m); err != nil {
			return err
		}
		if err := api.DiskSurveys.Create(tx, &api.DiskSurvey{Machine: uuidTree}); err != nil {
			return err
		}
		return api.Machines.Create(tx, &api.Machine{Name: "tree", Uuid: uuidTree, HardwareAddrs: []string{treeMAC1, treeMAC2}, BootEnv: env.Name,
			Address: "10.0.0.77", Boot: &api.BootState{Intent: "i", Env: env.Name}})
	}))
	f.lease(t, treeAddr.String(), treeMAC1)
	return f
}

var treeAddr = netip.MustParseAddr("10.0.0.77")

func TestTree(t *testing.T) {
	t.Parallel()
	f := tree(t)
	own := "files/drpcli." + runtime.GOARCH + "." + runtime.GOOS
	for path, want := range map[string]string{
		"files/own.bin":                         "own",
		"rocky-9/install/images/vmlinuz":        "kernel",
		"/rocky-9/install/arm64/images/vmlinuz": "arm kernel",
		"seeds/52-54-00-00-00-1a.cfg":           "for 52-54-00-00-00-1a",
		"seeds/52-54-00-00-00-1b.cfg":           "for 52-54-00-00-00-1b",
		"machines/" + uuidTree + "/per-mac":     "for 52-54-00-00-00-1a",
		"machines/" + uuidTree + "/kernel":      "kernel",
		"up/" + uuidTree:                        "inside",
		own:                                     "program drpcli",
		"files/drpcli.arm64.windows":            "program drpcli.arm64.windows",
		"files/jq":                              "program drpcli",
	} {
		got, err := f.body(t, path, treeAddr)
		if assert.NoError(t, err, path) {
			assert.Equal(t, want, got, path)
		}
	}
	for _, path := range []string{"debian-12/x", "joblogs/secret", "media/rocky-9/install/images/vmlinuz", "files/drpd", "files/drpcli", "drpcli",
		"files/drpcli.s390x.linux", "rocky-9", "rocky-9/install/images", "seeds/52-54-00-00-00-1c.cfg", "machines/" + uuidTree + "/astray"} {
		_, err := f.body(t, path, treeAddr)
		assert.ErrorIs(t, err, ErrNotFound, path)
	}
	got, err := f.body(t, uuidTree+"/shim.efi", treeAddr)
	require.NoError(t, err)
	assert.Len(t, got, 3000)
	_, err = f.body(t, "machines/"+uuidTree+"/kernel", netip.MustParseAddr("10.0.0.10"))
	assert.ErrorIs(t, err, ErrNotFound, "the address is leased to another machine")
}

func TestMediumBoots(t *testing.T) {
	t.Parallel()
	f := tree(t)
	got, err := f.body(t, "52-54-00-00-00-1b.ipxe", treeAddr)
	require.NoError(t, err)
	assert.Contains(t, got, "kernel http://10.0.0.1:8091/rocky-9/install/images/vmlinuz id="+uuidTree+" || goto failed")
	require.NoError(t, f.db.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, uuidTree, func(m *api.Machine) error {
			m.Arch, m.Boot.Served = "arm64", false
			return nil
		})
	}))
	got, err = f.body(t, "52-54-00-00-00-1a.ipxe", treeAddr)
	require.NoError(t, err)
	assert.Contains(t, got, "kernel http://10.0.0.1:8091/rocky-9/install/arm64/images/vmlinuz arm || goto failed")
}

func setPref(t *testing.T, f *fixture, name, value string) {
	t.Helper()
	require.NoError(t, f.db.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Preferences.Put(tx, &api.Preference{Name: name, Value: value})
	}))
}

// The join script is there whatever unknown machines boot, and whether or not
// any environment brings one.
func TestJoinIsAlwaysServed(t *testing.T) {
	t.Parallel()
	f := tree(t)
	got, err := f.body(t, "machines/join-up.sh", someone)
	require.NoError(t, err)
	assert.Equal(t, "join discovery", got, "the environment's own")
	for _, env := range []string{"ignore", "local"} {
		require.NoError(t, f.db.Update(t.Context(), func(tx *resource.Tx) error {
			if api.BootEnvs.Has(tx, "discovery") {
				return api.BootEnvs.Delete(tx, "discovery")
			}
			return nil
		}))
		setPref(t, f, "unknownBootEnv", env)
		for _, client := range []netip.Addr{someone, treeAddr, netip.MustParseAddr("10.0.0.10")} {
			got, err := f.body(t, "machines/join-up.sh", client)
			if assert.NoError(t, err) && client != netip.MustParseAddr("10.0.0.10") { // that machine's environment has one
				assert.Contains(t, got, "#!/bin/sh\n# Makes this running system a machine")
			}
		}
	}
	got, err = f.body(t, "machines/"+uuidTree+"/control.sh", treeAddr)
	require.NoError(t, err)
	assert.Contains(t, got, "# Runs the agent of machine")
	_, err = f.body(t, "machines/"+uuidTree+"/control.sh", netip.MustParseAddr("10.0.0.10"))
	assert.ErrorIs(t, err, ErrNotFound)
}

// An environment for unknown machines with scripts of its own is served as DRP
// does: what is more special is not found, so that loaders come to it.
func TestOwnScriptsForUnknown(t *testing.T) {
	t.Parallel()
	f := tree(t)
	require.NoError(t, f.db.Update(t.Context(), func(tx *resource.Tx) error {
		for _, env := range []*api.BootEnv{
			{Name: "own", OnlyUnknown: true, Kernel: "work/vmlinuz", Templates: []api.TemplateInfo{
				{Name: "ipxe", Path: "default.ipxe", Contents: "#!ipxe own {{env}}"},
				{Name: "pxelinux", Path: "pxelinux.cfg/default", Contents: "DEFAULT own"},
				{Name: "grub", Path: "grub/grub.cfg", Contents: "own grub"}}},
			{Name: "disk", Templates: []api.TemplateInfo{{Name: "ipxe", Path: "{{MacAddr}}.ipxe", Contents: "#!ipxe\nexit {{uuid}}"}}},
		} {
			if err := api.BootEnvs.Create(tx, env); err != nil {
				return err
			}
		}
		return api.Machines.Modify(tx, uuidLocal, func(m *api.Machine) error { m.BootEnv = "disk"; return nil })
	}))
	setPref(t, f, "unknownBootEnv", "own")
	for path, want := range map[string]string{"default.ipxe": "#!ipxe own own", "pxelinux.cfg/default": "DEFAULT own", "grub/grub.cfg": "own grub"} {
		got, err := f.body(t, path, someone)
		require.NoError(t, err, path)
		assert.Equal(t, want, got)
	}
	for _, path := range []string{"52-54-00-00-00-ff.ipxe", "10.0.0.99.ipxe", "pxelinux.cfg/0A000063", "pxelinux.cfg/01-52-54-00-00-00-ff", "grub/10.0.0.99.cfg"} {
		_, err := f.body(t, path, someone)
		assert.ErrorIs(t, err, ErrNotFound, path)
	}
	got, err := f.body(t, "52-54-00-00-00-0a.ipxe", netip.MustParseAddr("10.0.0.10"))
	require.NoError(t, err)
	assert.Contains(t, got, "echo drpd: known boots work")
	f.lease(t, someone.String(), macLocal)
	got, err = f.body(t, "52-54-00-00-00-0b.ipxe", someone)
	require.NoError(t, err)
	assert.Equal(t, "#!ipxe\nexit "+uuidLocal, got, "a disk environment's own way")
}

// Whatever paths and links templates have, nothing is opened but what the tree
// holds.
func FuzzTemplatePath(f *testing.F) {
	for _, s := range [][3]string{{"a", "", "a"}, {"../../etc/x", "../joblogs/secret", "etc/x"}, {"{{uuid}}/..//b", "files/../../joblogs/secret", "b"}, {"/", "media/x", ""}} {
		f.Add(s[0], s[1], s[2])
	}
	fx := tree(f)
	open := fx.cfg.Open
	fx.cfg.Open = func(p string) (*os.File, error) {
		for _, root := range []string{"files/", "isos/", "media/rocky-9/"} {
			if strings.HasPrefix(p, root) && !strings.Contains("/"+p+"/", "/../") {
				return open(p)
			}
		}
		panic(fmt.Sprintf("opened %q", p))
	}
	v := fx.db.View()
	m, err := api.Machines.Get(v, uuidTree)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, path, link, ask string) {
		env := &api.BootEnv{Name: "fuzz", Templates: []api.TemplateInfo{{Name: "t", Path: path, Link: link, Contents: "x"}}}
		name, err := CleanPath(ask)
		if err != nil {
			return
		}
		a := &Answer{}
		if err := fx.matching(v, Request{Path: name, Client: treeAddr, Server: serverAddr}, m, env, a); err == nil && a.File != nil {
			a.File.Close()
		}
	})
}
