package datadir

import (
	"archive/tar"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// forge makes a backup as somebody can who knows the recipient of its seal, with
// a manifest that has all that is in it.
func forge(t *testing.T, seal Seal, list ...*tar.Header) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "forged"))
	require.NoError(t, err)
	z, err := zstd.NewWriter(f)
	require.NoError(t, err)
	b := &backup{tar: tar.NewWriter(z), m: Manifest{Format: BackupFormat, Server: "forged"}, cfg: BackupConfig{Now: time.Unix(0, 0)}}
	to, err := seal.recipient()
	require.NoError(t, err)
	sealed, err := b.seal(map[string][]byte{}, to)
	require.NoError(t, err)
	require.NoError(t, b.addBytes(entryKeys, sealed))
	for _, h := range list {
		h.Format = tar.FormatPAX
		require.NoError(t, b.tar.WriteHeader(h))
		p, _, err := read(h, strings.NewReader(""))
		require.NoError(t, err)
		b.m.Parts = append(b.m.Parts, p)
	}
	manifest, err := json.Marshal(b.m)
	require.NoError(t, err)
	require.NoError(t, b.raw(entryManifest, manifest))
	require.NoError(t, b.raw(entryMAC, mac(b.macKey, manifest)))
	cert, key, err := authority(ours(t))
	require.NoError(t, err)
	sig, err := signManifest(cert, key, manifest)
	require.NoError(t, err)
	require.NoError(t, b.raw(entrySignature, sig))
	require.NoError(t, b.tar.Close())
	require.NoError(t, z.Close())
	require.NoError(t, f.Close())
	return f.Name()
}

func TestRestoreRefusesEntries(t *testing.T) {
	t.Parallel()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	link := func(name, to string) *tar.Header {
		return &tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink}
	}
	file := func(name string) *tar.Header { return &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600} }
	for want, list := range map[string][]*tar.Header{
		`is a link to "/etc/passwd", out of`:    {link("blobs/files/x", "/etc/passwd")},
		`is a link to "../../token.key", out`:   {link("blobs/files/x", "../../token.key")},
		`is a link to "y/../../../z", out`:      {link("blobs/files/x", "y/../../../z")},
		`is a link to "../.blob/sum/x", out`:    {link("blobs/files/x", "../.blob/sum/x")},
		`is a link to "..", out`:                {link("blobs/files", "..")},
		"belongs to a server that runs":         {link("blobs/.blob/stage", "../files")},
		"holds blobs/.blob, which belongs":      {link("blobs/.blob", "files")},
		"holds blobs/.blob/server, which":       {link("blobs/.blob/server", "../files/x")},
		"holds blobs/.blob/sum/x, which":        {link("blobs/.blob/sum/x", "../../files/x")},
		"holds blobs/.blob/stage/x, which":      {file("blobs/.blob/stage/x")},
		"as if that were a folder":              {link("blobs/a", "files"), file("blobs/a/x")},
		"it holds blobs/a twice":                {file("blobs/a/x"), link("blobs/a", "files")},
		"it holds blobs/b twice":                {file("blobs/b"), file("blobs/b")},
		"it holds drpd.db twice":                {file("drpd.db"), file("drpd.db")},
		"audit/audit.log is neither":            {link("audit/audit.log", "x")},
		"drpd.db is neither":                    {link("drpd.db", "blobs/x")},
		"blobs/hard is neither":                 {{Name: "blobs/hard", Linkname: "blobs/b", Typeflag: tar.TypeLink}},
		"blobs/dev is neither":                  {{Name: "blobs/dev", Typeflag: tar.TypeChar, Devmajor: 1}},
		"blobs/fifo is neither":                 {{Name: "blobs/fifo", Typeflag: tar.TypeFifo}},
		"blobs/suid has mode 4755":              {{Name: "blobs/suid", Typeflag: tar.TypeReg, Mode: 0o4755}},
		`"blobs/../token.key", which is no`:     {file("blobs/../token.key")},
		`"/blobs/x", which is no part`:          {file("/blobs/x")},
		`"blobs//x", which is no plain name`:    {file("blobs//x")},
		`"pki/ca.key", which is no part`:        {file("pki/ca.key")},
		`"identity", which is no part`:          {file("identity")},
		`"../x", which is no part of a server`:  {file("../x")},
		`"blobs/./x", which is no plain name`:   {file("blobs/./x")},
		`"blobs/", which is no part of`:         {{Name: "blobs/", Typeflag: tar.TypeDir}},
		`"blobs\\x", which is no part of`:       {file(`blobs\x`)},
		`"blobs/x\\..", which is no plain name`: {file(`blobs/x\..`)},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			_, err := Restore(t.Context(), RestoreConfig{Dir: dir, Seal: Seal{Identity: id.String()},
				From: forge(t, Seal{Recipient: id.Recipient().String()}, list...)})
			require.ErrorContains(t, err, want)
			assert.ErrorContains(t, err, "nothing was written")
			assert.NoDirExists(t, dir)
		})
	}
}

func TestEntriesOfABackup(t *testing.T) {
	t.Parallel()
	var e entries
	for _, h := range []*tar.Header{
		{Name: "keys.age", Typeflag: tar.TypeReg, Mode: 0o600}, {Name: "drpd.db", Typeflag: tar.TypeReg, Mode: 0o600},
		{Name: "blobs/.blob/server", Typeflag: tar.TypeReg}, {Name: "blobs/.blob/sum/x", Typeflag: tar.TypeReg, Mode: 0o600}, {Name: "blobs/media/a/b/c", Typeflag: tar.TypeSymlink, Linkname: "../../d/e"},
		{Name: "blobs/media/a/b/d..e", Typeflag: tar.TypeReg}, {Name: "audit/audit.log", Typeflag: tar.TypeReg},
	} {
		assert.NoError(t, e.add(h))
	}
}
