package datadir

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// entrySignature is the entry with a signature: sealing keeps others from reading
// a backup, but everybody can seal to a recipient, who is public.
const entrySignature = "manifest.sig"

// signature is what the server's authority says of a manifest.
type signature struct {
	Certificate []byte // DER, of the authority in use
	Signature   []byte // ECDSA over the digest, ASN.1
}

// signed is the digest of a manifest that is signed, which is of nothing else that
// the authority signs.
func signed(manifest []byte) []byte {
	h := sha256.New()
	h.Write([]byte("drpd backup signature 1\x00"))
	h.Write(manifest)
	return h.Sum(nil)
}

// authority is the certificate of the authority in use, among the key files, and
// its key.
func authority(keys map[string][]byte) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	name := "ca"
	if data, ok := keys[PartPKI+"/authorities.json"]; ok {
		var is struct{ Current string }
		if err := json.Unmarshal(data, &is); err != nil {
			return nil, nil, fmt.Errorf("%s/authorities.json: %w", PartPKI, err)
		}
		name = is.Current
	}
	blocks := [2]*pem.Block{}
	for i, end := range []string{".pem", ".key"} {
		if blocks[i], _ = pem.Decode(keys[PartPKI+"/"+name+end]); blocks[i] == nil {
			return nil, nil, fmt.Errorf("%s/%s%s, which signs the backup, is missing or no PEM", PartPKI, name, end)
		}
	}
	cert, err := x509.ParseCertificate(blocks[0].Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(blocks[1].Bytes)
	if err != nil {
		return nil, nil, err
	}
	k, ok := key.(*ecdsa.PrivateKey)
	if !ok || !k.PublicKey.Equal(cert.PublicKey) {
		return nil, nil, fmt.Errorf("%s/%s.key is not the key of its certificate", PartPKI, name)
	}
	return cert, k, nil
}

func signManifest(cert *x509.Certificate, key *ecdsa.PrivateKey, manifest []byte) ([]byte, error) {
	s, err := key.Sign(rand.Reader, signed(manifest), crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return json.Marshal(signature{cert.Raw, s})
}

// signer is the fingerprint of the authority that signed a manifest; an error if
// none did.
func signer(manifest, sig []byte) (string, error) {
	var s signature
	if err := json.Unmarshal(sig, &s); err != nil {
		return "", errors.New("it is not signed")
	}
	cert, err := x509.ParseCertificate(s.Certificate)
	if err != nil {
		return "", errors.New("its signature has no certificate")
	}
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || !ecdsa.VerifyASN1(key, signed(manifest), s.Signature) {
		return "", errors.New("its signature is not of this manifest")
	}
	return fingerprintOf(cert), nil
}

// fingerprintOf is how agents and clients pin an authority.
func fingerprintOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// authentic refuses a backup that anybody can have made. One that is opened by a
// passphrase was made by who knows it. For an age identity that is not so: there
// the signature is asked for, of one of the authorities that the caller names.
func (r *restore) authentic(manifest, sig []byte) error {
	by, err := signer(manifest, sig)
	if err == nil {
		r.m.Authority = by
	} else if r.m.Format > 1 || r.cfg.SignedBy != "" {
		return err
	}
	if r.cfg.Seal.Identity == "" && r.cfg.SignedBy == "" {
		return nil
	}
	whose := fmt.Sprintf("it says that it is of server %s as of %s, revision %d", r.m.Server, r.m.Taken.UTC().Format(time.RFC3339), r.m.Revision)
	const cure = "take the fingerprint from where the server is known (what drpd backup or its start printed, an agent's or client's pin)"
	switch {
	case by == "":
		return fmt.Errorf("%s and is not signed: everybody can seal to a recipient; back up anew, or restore one sealed by a passphrase", whose)
	case r.cfg.SignedBy == "":
		return fmt.Errorf("%s, signed by the authority %s: everybody can seal to a recipient, so say by --signed-by FINGERPRINT whose backup you want; %s, not from here", whose, by, cure)
	case !slices.Contains(strings.Split(strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(r.cfg.SignedBy)), ","), by):
		return fmt.Errorf("%s, signed by the authority %s, not by %s: it is another server's, or forged; %s", whose, by, r.cfg.SignedBy, cure)
	}
	return nil
}
