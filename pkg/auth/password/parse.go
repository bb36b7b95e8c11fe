package password

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// parse takes a hash apart: ours or, from a content pack, DRP's. The error
// never holds the hash.
func parse(hash string) (p Params, salt, sum []byte, err error) {
	if hash != "" && hash[0] != '$' {
		return parseDRP(hash)
	}
	parts := strings.Split(hash, "$")
	if len(parts) != 5 || parts[0] != "" || parts[1] != "scrypt" {
		return p, nil, nil, errors.New("not a scrypt hash")
	}
	if _, err := fmt.Sscanf(parts[2], "ln=%d,r=%d,p=%d", &p.LogN, &p.R, &p.P); err != nil {
		return p, nil, nil, errors.New("scrypt hash without parameters ln, r and p")
	}
	if err := p.check(); err != nil {
		return p, nil, nil, err
	}
	b64 := base64.RawStdEncoding.Strict()
	if salt, err = b64.DecodeString(parts[3]); err != nil || len(salt) < 8 {
		return p, nil, nil, errors.New("scrypt hash with a bad salt")
	}
	if sum, err = b64.DecodeString(parts[4]); err != nil || len(sum) != hashSize {
		return p, nil, nil, fmt.Errorf("scrypt hash whose sum is not %d bytes of base64", hashSize)
	}
	return p, salt, sum, nil
}

// parseDRP takes apart N$r$p$salt$sum, the last two in hexadecimal. In JSON and
// YAML DRP writes that once more in base64.
func parseDRP(hash string) (p Params, salt, sum []byte, err error) {
	if plain, err := base64.StdEncoding.DecodeString(hash); err == nil {
		hash = string(plain)
	}
	parts := strings.Split(hash, "$")
	if len(parts) != 5 {
		return p, nil, nil, errors.New("not a scrypt hash")
	}
	n, err := strconv.ParseUint(parts[0], 10, 32)
	if err != nil || bits.OnesCount64(n) != 1 {
		return p, nil, nil, errors.New("scrypt hash whose cost is no power of two")
	}
	p.LogN = bits.TrailingZeros64(n)
	if _, err := fmt.Sscanf(parts[1]+" "+parts[2], "%d %d", &p.R, &p.P); err != nil {
		return p, nil, nil, errors.New("scrypt hash without parameters r and p")
	}
	if err := p.check(); err != nil {
		return p, nil, nil, err
	}
	if salt, err = hex.DecodeString(parts[3]); err != nil || len(salt) < 8 {
		return p, nil, nil, errors.New("scrypt hash with a bad salt")
	}
	if sum, err = hex.DecodeString(parts[4]); err != nil || len(sum) != hashSize {
		return p, nil, nil, fmt.Errorf("scrypt hash whose sum is not %d bytes in hexadecimal", hashSize)
	}
	return p, salt, sum, nil
}
