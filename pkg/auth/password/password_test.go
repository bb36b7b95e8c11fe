package password

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cheap keeps tests fast.
var cheap = Params{LogN: 4, R: 8, P: 1}

func TestHashVerify(t *testing.T) {
	t.Parallel()
	for _, p := range []Params{cheap, DefaultParams()} {
		hash, err := Hash("r0cketsk8ts", p)
		require.NoError(t, err)
		require.NoError(t, Verify(hash, "r0cketsk8ts"))
		for _, wrong := range []string{"", "r0cketsk8tz", "r0cketsk8ts ", strings.Repeat("x", MaxLen+1)} {
			assert.ErrorIs(t, Verify(hash, wrong), ErrMismatch, wrong)
		}
		other, err := Hash("r0cketsk8ts", p)
		require.NoError(t, err)
		assert.NotEqual(t, hash, other, "salted")
	}
}

// The third test vector of RFC 7914, section 12, of which we keep 32 bytes.
func TestVerifyKnownHash(t *testing.T) {
	t.Parallel()
	sum, err := hex.DecodeString("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")
	require.NoError(t, err)
	b64 := base64.RawStdEncoding
	hash := "$scrypt$ln=14,r=8,p=1$" + b64.EncodeToString([]byte("SodiumChloride")) + "$" + b64.EncodeToString(sum)
	assert.NoError(t, Verify(hash, "pleaseletmein"))
	assert.ErrorIs(t, Verify(hash, "pleaseletmeout"), ErrMismatch)
}

func TestVerifyRefusesHashes(t *testing.T) {
	t.Parallel()
	good, err := Hash("x", cheap)
	require.NoError(t, err)
	swap := func(old, with string) string { return strings.Replace(good, old, with, 1) }
	for hash, want := range map[string]string{
		"":                              "not a scrypt hash",
		"plain":                         "not a scrypt hash",
		swap("$scrypt$", "$argon2id$"):  "not a scrypt hash",
		good + "$":                      "not a scrypt hash",
		swap("ln=4,", ""):               "without parameters",
		swap("ln=4,", "ln=30,"):         "ln=30,r=8,p=1 out of bounds",
		swap("ln=4,r=8", "ln=20,r=64"):  "out of bounds",
		swap("ln=4,", "ln=-1,"):         "out of bounds",
		swap("p=1$", "p=1$?"):           "bad salt",
		good[:len(good)-5]:              "sum is not 32 bytes",
		"$scrypt$ln=4,r=8,p=1$QQ$" + "": "bad salt",
	} {
		err := Verify(hash, "x")
		assert.ErrorContains(t, err, want, hash)
		assert.NotErrorIs(t, err, ErrMismatch, hash)
	}
	_, err = Hash("", cheap)
	assert.ErrorContains(t, err, "password of 0 bytes, want 1 to 1024")
	_, err = Hash("x", Params{LogN: 30, R: 8, P: 1})
	assert.ErrorContains(t, err, "out of bounds")
}

func TestRandom(t *testing.T) {
	t.Parallel()
	assert.Len(t, Random(3), 12)
	long := Random(20_000)
	require.Len(t, long, 20_000)
	counts := map[rune]int{}
	for _, r := range long {
		require.Contains(t, alphabet, string(r))
		counts[r]++
	}
	require.Len(t, counts, len(alphabet))
	for r, n := range counts { // 351 expected; a fair source is outside once in 10^9
		assert.InDelta(t, 351, n, 120, string(r))
	}
	assert.NotEqual(t, Random(12), Random(12))
}

// A hash that DRP's own client made: "drpcli users passwordhash hello".
func TestVerifyHashOfDRP(t *testing.T) {
	t.Parallel()
	const made = "16384$8$1$383b163e104f34bd3c6ddd14349361fb$6da721f407d6f70f35c2ed7ba5c0bdd1121907cb0b42c3e3086d83b5a2209abf"
	for _, hash := range []string{made, base64.StdEncoding.EncodeToString([]byte(made))} {
		require.NoError(t, Verify(hash, "hello"))
		assert.ErrorIs(t, Verify(hash, "hallo"), ErrMismatch)
	}
	swap := func(old, with string) string { return strings.Replace(made, old, with, 1) }
	for hash, want := range map[string]string{
		swap("16384", "16385"):      "no power of two",
		swap("16384", "0"):          "no power of two",
		swap("16384", "2147483648"): "out of bounds",
		swap("$8$", "$x$"):          "without parameters",
		swap("$383b", "$383?"):      "bad salt",
		made[:len(made)-2]:          "not 32 bytes",
	} {
		assert.ErrorContains(t, Verify(hash, "hello"), want, hash)
	}
}
