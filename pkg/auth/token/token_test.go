package token

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	issued  = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	keyA    = bytes.Repeat([]byte("a"), KeySize)
	keyB    = bytes.Repeat([]byte("b"), KeySize)
	secrets = Secrets{Grantor: "g", User: "u", Machine: "m"}
)

func payload() Payload {
	return Payload{
		Subject: "rocketskates", Kind: Machine, Key: "5b1e", Grantor: "admin",
		Claims: []Claim{{"machines", "get,update", "5b1e"}, {"params", "*", "*"}}, Roles: []string{"reader"},
		Issued: issued, Expires: issued.Add(time.Hour),
	}
}

func same(Payload) (Secrets, error) { return secrets, nil }

func mint(t testing.TB, key []byte, p Payload) string {
	t.Helper()
	text, err := Mint(key, p, secrets)
	require.NoError(t, err)
	return text
}

func TestMintVerify(t *testing.T) {
	t.Parallel()
	text := mint(t, keyA, payload())
	assert.NotContains(t, text, ":", "else it would pass for user:password")
	assert.LessOrEqual(t, len(text), 300)
	for _, keys := range [][][]byte{{keyA}, {keyB, keyA}} {
		got, err := Verify(issued.Add(time.Hour-time.Second), text, keys, func(p Payload) (Secrets, error) {
			assert.Equal(t, payload(), p)
			return secrets, nil
		})
		require.NoError(t, err)
		assert.Equal(t, payload(), got)
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	good := mint(t, keyA, payload())
	body, mac, _ := strings.Cut(good, ".")
	signed := func(body string) string {
		return b64.EncodeToString([]byte(body)) + "." + b64.EncodeToString(sign(keyA, []byte(body)))
	}
	storeDown := errors.New("store down")
	for _, c := range []struct {
		name    string
		text    string
		now     time.Time
		keys    [][]byte
		current func(Payload) (Secrets, error)
		want    error
	}{
		{"expired now", good, issued.Add(time.Hour), [][]byte{keyA}, same, ErrExpired},
		{"other key", good, issued, [][]byte{keyB}, same, ErrSignature},
		{"no keys", good, issued, nil, same, ErrSignature},
		{"short key never matches", body + "." + b64.EncodeToString(sign(nil, []byte("x"))), issued, [][]byte{nil, {}}, same, ErrSignature},
		{"body changed", "A" + body[1:] + "." + mac, issued, [][]byte{keyA}, same, ErrSignature},
		{"mac cut short", body + "." + mac[:4], issued, [][]byte{keyA}, same, ErrSignature},
		{"no mac", body + ".", issued, [][]byte{keyA}, same, ErrSignature},
		{"one part", body, issued, [][]byte{keyA}, same, ErrMalformed},
		{"empty", "", issued, [][]byte{keyA}, same, ErrMalformed},
		{"three parts", good + ".x", issued, [][]byte{keyA}, same, ErrMalformed},
		{"line break inside", body + ".\n" + mac, issued, [][]byte{keyA}, same, ErrMalformed},
		{"not base64", "?" + good, issued, [][]byte{keyA}, same, ErrMalformed},
		{"too long", strings.Repeat("A", MaxLen+1), issued, [][]byte{keyA}, same, ErrMalformed},
		{"signed but not JSON", signed("hello"), issued, [][]byte{keyA}, same, ErrMalformed},
		{"signed, unknown kind", signed(`{"t":"root","e":9999999999}`), issued, [][]byte{keyA}, same, ErrMalformed},
		{"signed, bound to nothing", signed(`{"t":"user","e":9999999999}`), issued, [][]byte{keyA}, same, ErrRevoked},
		{"store fails", good, issued, [][]byte{keyA}, func(Payload) (Secrets, error) { return secrets, storeDown }, storeDown},
	} {
		got, err := Verify(c.now, c.text, c.keys, c.current)
		assert.ErrorIs(t, err, c.want, c.name)
		assert.Equal(t, Payload{}, got, c.name)
	}
}

func TestChangedSecretsRevoke(t *testing.T) {
	t.Parallel()
	text := mint(t, keyA, payload())
	for _, s := range []Secrets{
		{"G", "u", "m", ""}, {"g", "U", "m", ""}, {"g", "u", "M", ""}, {"g", "u", "", ""}, {}, {"g", "u", "m", "s"},
		{"gu", "", "m", ""}, {"", "gu", "m", ""}, {"u", "g", "m", ""}, {"g", "u", "", "m"}, // the same letters, elsewhere
	} {
		_, err := Verify(issued, text, [][]byte{keyA}, func(Payload) (Secrets, error) { return s, nil })
		assert.ErrorIs(t, err, ErrRevoked, "%+v", s)
	}
}

func TestMintRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key    []byte
		change func(*Payload)
		want   string
	}{
		{keyA[:31], func(*Payload) {}, "key of 31 bytes, want 32"},
		{keyA, func(p *Payload) { p.Expires = p.Issued }, "expires 2026-03-04T05:06:07Z, not after it is issued"},
		{keyA, func(p *Payload) { p.Kind = "root" }, `kind "root", want one of [user machine boot unknown job profile plugin join]`},
		{keyA, func(p *Payload) { p.Subject = strings.Repeat("x", MaxLen) }, "limit 4096: give it fewer claims"},
	} {
		p := payload()
		c.change(&p)
		_, err := Mint(c.key, p, secrets)
		assert.ErrorContains(t, err, c.want)
	}
}

// FuzzVerify: nothing but the exact text of a minted token is accepted.
func FuzzVerify(f *testing.F) {
	good := mint(f, keyA, payload())
	body, mac, _ := strings.Cut(good, ".")
	for _, s := range []string{good, good + "=", body, body + ".", "." + mac, "a.b", ".", fmt.Sprint(mac, ".", body), good + "\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Verify(issued, text, [][]byte{keyA}, same); err == nil && text != good {
			t.Errorf("accepted %q", text)
		}
	})
}
