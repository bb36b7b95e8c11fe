package trigger

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// MaxCall bounds the body of a call, in bytes.
const MaxCall = 256 << 10

// maxDeliveries is how many calls are known again.
const maxDeliveries = 64

// Call is a call of a webhook. It proves itself by the key, or by the HMAC of
// its body with the key (sha256=<hex>), as GitHub signs.
type Call struct {
	Key, Signature string
	Delivery       string // the caller's number for it, "" if it has none
	Body           []byte
}

// Proves says whether the call was made by somebody who knows the key.
func (c Call) Proves(key string) bool {
	if key == "" {
		return false
	}
	if c.Signature != "" {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write(c.Body)
		sum, err := hex.DecodeString(strings.TrimPrefix(c.Signature, "sha256="))
		return err == nil && hmac.Equal(sum, mac.Sum(nil))
	}
	a, b := sha256.Sum256([]byte(c.Key)), sha256.Sum256([]byte(key))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// Called fires a webhook's trigger for a call that has proved itself. A
// delivery that was seen already makes nothing new: it gets the same answer.
func (x *Triggers) Called(tx *resource.Tx, now time.Time, name string, c Call) (*Firing, error) {
	t, err := api.Triggers.Get(tx, name)
	if err != nil {
		return nil, err
	}
	if why := blocked(t); why != "" {
		return nil, resource.Errorf(resource.Refused, "triggers", name, "trigger %s: %s", name, why)
	}
	data, err := bodyOf(name, c.Body)
	if err != nil {
		return nil, err
	}
	f := remembered(tx, name)
	if c.Delivery = c.Delivery[:min(len(c.Delivery), 128)]; c.Delivery != "" {
		if slices.Contains(f.Deliveries, c.Delivery) {
			return f, nil
		}
		f.Deliveries = append(f.Deliveries, c.Delivery)
		f.Deliveries = f.Deliveries[max(len(f.Deliveries)-maxDeliveries, 0):]
	}
	problem, err := x.fire(tx, now, t, f, data)
	if err == nil && problem != "" {
		err = resource.Errorf(resource.Refused, "triggers", name, "trigger %s made no work order: %s", name, problem)
	}
	if err != nil {
		return nil, err
	}
	return f, Firings.Put(tx, f)
}

// bodyOf reads a call's body: an object is taken as it is, anything else
// becomes "body".
func bodyOf(name string, body []byte) (map[string]any, error) {
	if len(body) == 0 {
		return map[string]any{}, nil
	}
	if len(body) > MaxCall {
		return nil, resource.Errorf(resource.Malformed, "triggers", name, "the body has %d bytes, %d at most", len(body), MaxCall)
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return nil, resource.Errorf(resource.Malformed, "triggers", name, "the body is not JSON: %v", err)
	}
	if m, ok := v.(map[string]any); ok {
		return m, nil
	}
	return map[string]any{"body": v}, nil
}
