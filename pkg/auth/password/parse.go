package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// parse takes a hash apart. The error never holds the hash.
func parse(hash string) (p Params, salt, sum []byte, err error) {
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
