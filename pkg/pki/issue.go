package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"time"
)

// CAName is how the names of our authorities begin.
const CAName = "drpd CA "

// makeCA makes a self-signed authority. It signs servers, and the authority that
// it follows.
func makeCA(now time.Time) (pair, error) {
	serial := newSerial()
	t := &x509.Certificate{
		SerialNumber: serial,
		// The serial tells the CAs of two servers apart in a client's list.
		Subject:               pkix.Name{CommonName: fmt.Sprintf(CAName+"%x", serial.Bytes()[:4])},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLen:            1, // only ever the one that it follows: see Rotate
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	p, err := sign(t, nil)
	if err != nil {
		return pair{}, fmt.Errorf("make CA: %w", err)
	}
	return p, nil
}

// issue makes a server certificate; it never outlives the CA.
func issue(ca pair, cfg Config, now time.Time) (pair, error) {
	t := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{CommonName: "drpd"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(serverLife),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:              cfg.Names,
	}
	if t.NotAfter.After(ca.cert.NotAfter) {
		t.NotAfter = ca.cert.NotAfter
	}
	for _, ip := range cfg.IPs {
		t.IPAddresses = append(t.IPAddresses, net.IP(ip.AsSlice()))
	}
	p, err := sign(t, &ca)
	if err != nil {
		return pair{}, fmt.Errorf("issue server certificate for %v %v: %w", cfg.Names, cfg.IPs, err)
	}
	return p, nil
}

// sign makes a key and its certificate, signed by parent or by itself.
func sign(t *x509.Certificate, parent *pair) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	by, byKey := t, key
	if parent != nil {
		by, byKey = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, by, key.Public(), byKey)
	if err != nil {
		return pair{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return pair{}, err
	}
	return pair{cert: cert, key: key}, nil
}

// newSerial returns 16 random bytes whose first bits keep it positive and long.
func newSerial() *big.Int {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}

func certIPs(c *x509.Certificate) []netip.Addr {
	var ips []netip.Addr
	for _, ip := range c.IPAddresses {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			ips = append(ips, addr)
		}
	}
	return sortedIPs(ips)
}
