package render

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"drpd/pkg/api"
)

// TokenFunc makes a token; kind is one of the Token constants. object is the
// profile of TokenProfile, else "".
type TokenFunc func(kind, object string, ttl time.Duration) (string, error)

// The kinds that Context.Token is asked for.
const (
	TokenMachine = "machine" // for the machine in the Context
	TokenUnknown = "unknown" // only to create and find machines
	TokenProfile = "profile" // to read and change one profile of the machine
)

// Lives of tokens that no preference sets.
const (
	infinite      = 3 * 364 * 24 * time.Hour    // GenerateInfiniteToken, as in DRP
	profileAlways = 2_000_000_000 * time.Second // GenerateProfileToken with 0 seconds, as in DRP
)

// GenerateToken makes a token for the machine, or one that can only create and
// find machines; preferences say how long it lives.
func (d *dot) GenerateToken() (string, error) {
	if d.Machine == nil {
		return d.token(TokenUnknown, "", d.seconds("unknownTokenTimeout", 600))
	}
	return d.token(TokenMachine, "", d.seconds("knownTokenTimeout", 3600))
}

// GenerateInfiniteToken makes a token for the machine that lives three years.
// An unknown machine gets none, as in DRP.
func (d *dot) GenerateInfiniteToken() (string, error) {
	if d.Machine == nil {
		return "", nil
	}
	return d.token(TokenMachine, "", infinite)
}

// GenerateProfileToken makes a token that reads and changes one profile, which
// the machine must carry itself. 0 seconds mean for ever.
func (d *dot) GenerateProfileToken(profile string, seconds any) (string, error) {
	n, err := wholeNumber(seconds)
	switch {
	case err != nil:
		return "", err
	case d.s.closed > 0:
		return "", fmt.Errorf("a text that comes from a param or is computed gets no token for profile %s", profile)
	case d.Machine == nil:
		return "", fmt.Errorf("an unknown machine gets no token for profile %s", profile)
	case !d.Machine.HasProfile(profile):
		return "", fmt.Errorf("machine %s does not have profile %s itself: add it first", d.Machine.Name, profile)
	case !api.Profiles.Has(d.s.c.Reader, profile):
		return "", fmt.Errorf("profile %s does not exist", profile)
	}
	ttl := time.Duration(n) * time.Second
	if n <= 0 || ttl > profileAlways || ttl/time.Second != time.Duration(n) {
		ttl = profileAlways
	}
	return d.token(TokenProfile, profile, ttl)
}

// wholeNumber reads what templates and params have as numbers.
func wholeNumber(v any) (int64, error) {
	switch n := v.(type) {
	case int:
		return int64(n), nil
	case int64:
		return n, nil
	case float64:
		return int64(n), nil
	case json.Number:
		return n.Int64()
	case string:
		return strconv.ParseInt(n, 10, 64)
	}
	return 0, fmt.Errorf("%v is not a number of seconds", v)
}

func (d *dot) token(kind, object string, ttl time.Duration) (string, error) {
	if d.s.c.Token == nil {
		return "", fmt.Errorf("no token can be made where this text is rendered")
	}
	return d.s.c.Token(kind, object, ttl)
}

func (d *dot) seconds(pref string, otherwise int) time.Duration {
	if p, err := api.Preferences.Get(d.s.c.Reader, pref); err == nil {
		if n, err := strconv.Atoi(p.Value); err == nil && n > 0 {
			otherwise = n
		}
	}
	return time.Duration(otherwise) * time.Second
}
