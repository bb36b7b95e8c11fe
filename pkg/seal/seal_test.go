package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newPair(t *testing.T) (public, private Key) {
	t.Helper()
	public, private, err := NewKeyPair()
	require.NoError(t, err)
	return public, private
}

func TestSealOpen(t *testing.T) {
	t.Parallel()
	public, private := newPair(t)
	for _, plain := range [][]byte{{}, []byte(`"s3cret"`), make([]byte, MaxPlain)} {
		d, err := Seal(public, plain)
		require.NoError(t, err)
		text, err := json.Marshal(d)
		require.NoError(t, err)
		var back SecureData
		require.NoError(t, json.Unmarshal(text, &back))
		got, err := Open(private, back)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(plain, got))
	}
	_, err := Seal(public, make([]byte, MaxPlain+1))
	assert.ErrorContains(t, err, "1048577 bytes, limit 1048576")
}

// Equal values must not look equal.
func TestSealIsFresh(t *testing.T) {
	t.Parallel()
	public, _ := newPair(t)
	one, err := Seal(public, []byte("same value"))
	require.NoError(t, err)
	two, err := Seal(public, []byte("same value"))
	require.NoError(t, err)
	assert.NotEqual(t, one.Key, two.Key)
	assert.NotEqual(t, one.Nonce, two.Nonce)
	assert.NotEqual(t, one.Payload, two.Payload)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	public, private := newPair(t)
	_, other := newPair(t)
	good, err := Seal(public, []byte("value"))
	require.NoError(t, err)
	flip := func(b []byte) []byte { c := bytes.Clone(b); c[0] ^= 1; return c }
	for _, c := range []struct {
		private Key
		data    SecureData
		want    string
	}{
		{other, good, "cannot be opened with this key"},
		{private, SecureData{flip(good.Key), good.Nonce, good.Payload}, "cannot be opened"},
		{private, SecureData{good.Key, flip(good.Nonce), good.Payload}, "cannot be opened"},
		{private, SecureData{good.Key, good.Nonce, flip(good.Payload)}, "cannot be opened"},
		{private, SecureData{}, "Key of 0 bytes, want 32"},
		{private, SecureData{good.Key, good.Nonce[1:], good.Payload}, "Nonce of 23 bytes, want 24"},
		{private, SecureData{good.Key, good.Nonce, good.Payload[:15]}, "Payload of 15 bytes, want 16 to 1048592"},
	} {
		_, err := Open(c.private, c.data)
		assert.ErrorContains(t, err, c.want)
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	t.Parallel()
	_, private := newPair(t)
	text := fmt.Sprintf("%v %s %#v %+v %v", private, private, private, private, struct{ K Key }{private})
	assert.Equal(t, "[key] [key] [key] [key] {[key]}", text)
	assert.NotContains(t, text, base64.StdEncoding.EncodeToString(private[:]))
}

func TestMaster(t *testing.T) {
	t.Parallel()
	first := NewMaster(Key{7})
	_, private := newPair(t)
	wrapped := first.Wrap("machines/1", private)
	assert.False(t, bytes.Contains(wrapped, private[:]))
	got, err := first.Unwrap("machines/1", wrapped)
	require.NoError(t, err)
	assert.Equal(t, [KeySize]byte(private), [KeySize]byte(got))
	_, err = first.Unwrap("machines/2", wrapped)
	assert.ErrorIs(t, err, ErrOpen, "of another owner")
	_, err = NewMaster(Key{1}).Unwrap("machines/1", wrapped)
	assert.ErrorIs(t, err, ErrOpen, "another master")
	_, err = first.Unwrap("machines/1", wrapped[1:])
	assert.ErrorContains(t, err, "unwrap key of machines/1: 71 bytes, want 72")
}

func TestFormerMasterStillOpens(t *testing.T) {
	t.Parallel()
	old, both := NewMaster(Key{1}), NewMaster(Key{2}, Key{1})
	sealed := old.Seal("it", []byte("secret"))
	got, err := both.Open("it", sealed)
	require.NoError(t, err)
	assert.Equal(t, "secret", string(got))
	assert.True(t, old.Fresh("it", sealed))
	assert.False(t, both.Fresh("it", sealed), "a former key encrypted it")
	again := both.Seal("it", got)
	assert.True(t, both.Fresh("it", again))
	_, err = old.Open("it", again)
	assert.ErrorIs(t, err, ErrOpen)
}
