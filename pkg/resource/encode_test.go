package resource

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type inner struct {
	N    int
	Next *inner            `json:",omitempty"`
	M    map[string][]int  `json:"m,omitempty"`
	T    time.Time         `json:",omitzero"`
	S    map[string]string `json:",omitempty"`
}

type word string

type sampleObject struct {
	Common
	Key     string
	secret  int
	Secret  string
	Count   int64
	Small   uint8
	Ratio   float64
	Words   []word
	Names   []string
	Raw     json.RawMessage
	Bytes   []byte
	When    time.Time
	Maybe   *inner `json:",omitempty"`
	Inner   inner
	List    []inner
	Params  Params
	Any     any
	Pair    [2]string
	Skipped string `json:"-"`
	Renamed bool   `json:"other,omitempty"`
}

func sampleObjects() []*sampleObject {
	odd := "quote \" back \\ <tag> & \u2028 \x01 \xff é"
	return []*sampleObject{
		{},
		{Common: Common{Available: true, Errors: []string{odd}, Meta: map[string]string{odd: odd, "b": ""}},
			Key: "k", secret: 1, Secret: "s", Count: -5, Small: 200, Ratio: 1e21, Words: []word{"a", word(odd)}, Names: []string{},
			Raw: json.RawMessage(`{"a": [1, 2]}`), Bytes: []byte("abc"), When: time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("x", 3600)),
			Maybe: &inner{N: 1, Next: &inner{M: map[string][]int{"x": {1}}}}, List: []inner{{N: 2}, {T: time.Unix(1, 0).UTC()}},
			Params: Params{"i": 3, "f": 2.5, "big": 1e300, "neg": -0.0, "n": nil, "l": []any{1.0, "x", nil, []any(nil)},
				"m": map[string]any{"z": true, "a": odd}, "typed": inner{N: 7}, "sub": map[string]string{"q": "r"}, "int": int64(9)},
			Any: 77, Pair: [2]string{"x", "y"}, Skipped: "not stored", Renamed: true},
	}
}

// TestEncodeIsEncodingJSON holds the compiled encoder to its model, byte for byte.
func TestEncodeIsEncodingJSON(t *testing.T) {
	t.Parallel()
	k := &Kind[sampleObject]{Name: "samples", Key: func(o *sampleObject) string { return o.Key }}
	for _, o := range sampleObjects() {
		want, err := json.Marshal(o)
		require.NoError(t, err)
		stored, public, err := k.self().encode(o)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(stored))
		assert.Equal(t, string(want), string(public))
	}
}

func TestEncodeHides(t *testing.T) {
	t.Parallel()
	for _, hidden := range [][]string{{"Secret"}, {"Validated"}, {"other"}, {"Validated", "Available", "Secret", "Any"}} {
		k := &Kind[sampleObject]{Name: "samples", Key: func(o *sampleObject) string { return o.Key }, Hidden: hidden}
		for _, o := range sampleObjects() {
			stored, public, err := k.self().encode(o)
			require.NoError(t, err)
			whole, err := json.Marshal(o)
			require.NoError(t, err)
			var want, have map[string]any
			require.NoError(t, json.Unmarshal(whole, &want))
			require.NoError(t, json.Unmarshal(public, &have))
			again, err := k.decodeStored(stored)
			require.NoError(t, err)
			kept, err := json.Marshal(again)
			require.NoError(t, err)
			assert.JSONEq(t, string(whole), string(kept), "what is hidden is stored")
			older, err := k.decodeStored(whole)
			require.NoError(t, err)
			assert.Equal(t, again, older, "records of format 2 are one object")
			for _, name := range hidden {
				delete(want, name)
			}
			assert.Equal(t, want, have)
		}
	}
}

func TestDecodeStoredRefuses(t *testing.T) {
	t.Parallel()
	k := &Kind[sampleObject]{Name: "samples"}
	for _, bad := range []string{"", "  ", "{", "{}{", "{} x", `{"Key": 1}`} {
		_, err := k.decodeStored([]byte(bad))
		assert.Error(t, err, "%q", bad)
	}
}

// TestCopyIsATripThroughJSON compares the compiled copy with its model, and
// looks for memory that both share.
func TestCopyIsATripThroughJSON(t *testing.T) {
	t.Parallel()
	for _, o := range sampleObjects() {
		before, err := json.Marshal(o)
		require.NoError(t, err)
		c, err := copierFor[sampleObject]()(o)
		require.NoError(t, err)
		after, err := json.Marshal(c)
		require.NoError(t, err)
		assert.Equal(t, string(before), string(after))
		assert.Empty(t, shared(reflect.ValueOf(o).Elem(), reflect.ValueOf(c).Elem(), "o"))
		if o.Params != nil {
			assert.Equal(t, 3.0, c.(*sampleObject).Params["i"])
		}
	}
}

// shared names a path at which two values hold the same memory.
func shared(a, b reflect.Value, at string) string {
	switch a.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if a.IsNil() || a.Kind() != reflect.Pointer && a.Len() == 0 {
			return ""
		}
		if a.Pointer() == b.Pointer() {
			return at
		}
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() || a.Elem().Type() != b.Elem().Type() { // a number became a float64
			return ""
		}
		return shared(a.Elem(), b.Elem(), at+"*")
	case reflect.Struct:
		for i := range a.NumField() {
			if s := a.Type().Field(i); s.IsExported() && s.Type != timeType {
				if where := shared(a.Field(i), b.Field(i), at+"."+s.Name); where != "" {
					return where
				}
			}
		}
	case reflect.Map:
		for _, k := range a.MapKeys() {
			if where := shared(a.MapIndex(k), b.MapIndex(k), at+"["+k.String()+"]"); where != "" {
				return where
			}
		}
	case reflect.Slice:
		for i := range a.Len() {
			if where := shared(a.Index(i), b.Index(i), at+"[]"); where != "" {
				return where
			}
		}
	}
	return ""
}
