package datadir

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ours are the key files of an authority.
func ours(t *testing.T) map[string][]byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1)}
	cert, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return map[string][]byte{"pki/authorities.json": []byte(`{"Current":"ca2"}`),
		"pki/ca2.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		"pki/ca2.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}
}

func TestSigned(t *testing.T) {
	t.Parallel()
	keys := ours(t)
	cert, key, err := authority(keys)
	require.NoError(t, err)
	sig, err := signManifest(cert, key, []byte("manifest"))
	require.NoError(t, err)
	by, err := signer([]byte("manifest"), sig)
	require.NoError(t, err)
	assert.Equal(t, fingerprintOf(cert), by)
	_, err = signer([]byte("manifesto"), sig)
	assert.EqualError(t, err, "its signature is not of this manifest")
	_, err = signer([]byte("manifest"), nil)
	assert.EqualError(t, err, "it is not signed")
	keys["pki/ca2.key"] = ours(t)["pki/ca2.key"]
	_, _, err = authority(keys)
	assert.EqualError(t, err, "pki/ca2.key is not the key of its certificate")
	delete(keys, "pki/ca2.key")
	_, _, err = authority(keys)
	assert.EqualError(t, err, "pki/ca2.key, which signs the backup, is missing or no PEM")
}

// A backup that is sealed to a recipient can be anybody's: only the signature
// says whose, and of whom it must be the operator says.
func TestRestoreWantsTheSigner(t *testing.T) {
	t.Parallel()
	manifest := []byte(`{}`)
	cert, key, err := authority(ours(t))
	require.NoError(t, err)
	sig, err := signManifest(cert, key, manifest)
	require.NoError(t, err)
	mine, other := fingerprintOf(cert), strings.Repeat("ab", 32)
	colons := strings.ToUpper(mine[:2] + ":" + mine[2:])
	for name, c := range map[string]struct {
		sig              []byte
		format           int
		identity, signed string
		want             string
	}{
		"recipient, nobody named":       {sig, 2, "AGE", "", "signed by the authority " + mine + ": everybody can seal to a recipient, so say by --signed-by"},
		"recipient, another":            {sig, 2, "AGE", other, "not by " + other + ": it is another server's, or forged"},
		"recipient, a beginning":        {sig, 2, "AGE", mine[:8], "it is another server's, or forged"},
		"recipient, it":                 {sig, 2, "AGE", mine, ""},
		"recipient, one of two":         {sig, 2, "AGE", other + "," + colons, ""},
		"recipient, unsigned":           {nil, 2, "AGE", mine, "it is not signed"},
		"recipient, unsigned, of old":   {nil, 1, "AGE", mine, "it is not signed"},
		"recipient, of old, none named": {nil, 1, "AGE", "", "is not signed: everybody can seal to a recipient"},
		"passphrase":                    {sig, 2, "", "", ""},
		"passphrase, of old":            {nil, 1, "", "", ""},
		"passphrase, unsigned":          {nil, 2, "", "", "it is not signed"},
		"passphrase, another named":     {sig, 2, "", other, "it is another server's, or forged"},
	} {
		r := &restore{cfg: RestoreConfig{Seal: Seal{Identity: c.identity}, SignedBy: c.signed}, m: Manifest{Format: c.format}}
		err := r.authentic(manifest, c.sig)
		if c.want == "" {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorContains(t, err, c.want, name)
		}
	}
}

// TestForgedBackup: by the file, as somebody makes it who knows the recipient.
func TestForgedBackup(t *testing.T) {
	t.Parallel()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "data")
	cfg := RestoreConfig{Dir: dir, Seal: Seal{Identity: id.String()}, From: forge(t, Seal{Recipient: id.Recipient().String()})}
	for signedBy, want := range map[string]string{"": "--signed-by FINGERPRINT", strings.Repeat("ab", 32): "another server's, or forged"} {
		cfg.SignedBy = signedBy
		_, err = Restore(t.Context(), cfg)
		require.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, "nothing was written")
		assert.NoDirExists(t, dir)
	}
}
