package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/resource"
)

func TestCut(t *testing.T) {
	t.Parallel()
	const doc = `{"Name":"a\"}{","Params":{"x/y":{"a":[1,{"b":"]"}]},"z":null,"q\u003c":3},"Meta":{"k":"v\\"},"Partial":false,"N":-1.5e3}`
	for query, want := range map[string]string{
		"slim=Params":              `{"Name":"a\"}{","Meta":{"k":"v\\"},"N":-1.5e3,"Partial":true}`,
		"slim=Params,Meta":         `{"Name":"a\"}{","N":-1.5e3,"Partial":true}`,
		"slim=Meta&slim=Params":    `{"Name":"a\"}{","N":-1.5e3,"Partial":true}`,
		"params=z,none":            `{"Name":"a\"}{","Params":{"z":null},"Meta":{"k":"v\\"},"N":-1.5e3,"Partial":true}`,
		"params=x/y&slim=Meta":     `{"Name":"a\"}{","Params":{"x/y":{"a":[1,{"b":"]"}]}},"N":-1.5e3,"Partial":true}`,
		"params=q<":                `{"Name":"a\"}{","Params":{"q\u003c":3},"Meta":{"k":"v\\"},"N":-1.5e3,"Partial":true}`,
		"params=none":              `{"Name":"a\"}{","Params":{},"Meta":{"k":"v\\"},"N":-1.5e3,"Partial":true}`,
		"fields=N,Name":            `{"Name":"a\"}{","N":-1.5e3,"Partial":true}`,
		"fields=none":              `{"Partial":true}`,
		"fields=Params&params=z":   `{"Params":{"z":null},"Partial":true}`,
		"slim=Name":                doc,
		"slim=Params&decode=false": `{"Name":"a\"}{","Meta":{"k":"v\\"},"N":-1.5e3,"Partial":true}`,
	} {
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		got := doc
		if view := shapeOf(values); view.thins() {
			got = string(view.cut(nil, []byte(doc), nil, true))
		}
		assert.Equal(t, want, got, query)
	}
}

// FuzzMembers: the walk finds what encoding/json finds, and nothing breaks it.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"b":{"c":["]","\\\""]}}`, `{"a":`, `{"a"`, `{"a":"\`, `[1]`, `{"\u0061":true,"x":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		found := map[string]json.RawMessage{}
		members(data, func(name, value []byte) bool {
			var key string
			if json.Unmarshal(name, &key) == nil {
				found[key] = bytes.Clone(value)
			}
			return true
		})
		if !utf8.Valid(data) { // our own encoding is
			return
		}
		var want map[string]json.RawMessage
		var compact bytes.Buffer
		if json.Unmarshal(data, &want) != nil || json.Compact(&compact, data) != nil || !bytes.Equal(compact.Bytes(), data) || want == nil {
			return
		}
		require.Equal(t, len(want), len(found), "%s", data)
		for key, v := range want {
			require.Equal(t, string(v), string(found[key]), "%s", data)
			if strings.ToValidUTF8(key, "") == key {
				require.NotNil(t, member(data, key), "%s %q", data, key)
			}
		}
	})
}

// FuzzPathID: whatever a URL names, the answer is an object or a plain refusal.
func FuzzPathID(f *testing.F) {
	h, _ := filterRig(f)
	for _, s := range []string{"Name:m01", "Key:x", ":", "Name:", "0A000001", "%2F..%2F", "Params:cores", "Pool:a", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		c := echo.New().NewContext(httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder())
		c.SetParamNames("id")
		c.SetParamValues(id)
		_, err := h.visible(c, h.cfg.DB.View())
		code := resource.CodeOf(err)
		require.True(t, code == resource.NotFound || code == resource.Malformed, "%q: %v", id, err) // nobody is logged in
	})
}

// fleet is a kind server with many machines of a usual size.
func fleet(t testing.TB, n int) *kindServer {
	t.Helper()
	h, _ := filterRig(t)
	for at := 0; at < n; at += 1000 {
		require.NoError(t, h.cfg.DB.Update(t.Context(), func(tx *resource.Tx) error {
			for i := at; i < min(at+1000, n); i++ {
				m := &api.Machine{Name: fmt.Sprintf("fleet%05d", i), Params: resource.Params{"gohai-inventory": strings.Repeat("x", 2000), "i": i}}
				if err := api.Machines.Create(tx, m); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	return h
}

type nowhere struct{ http.ResponseWriter }

func (nowhere) Write(data []byte) (int, error) { return len(data), nil }

// BenchmarkList is a list of 10,000 machines, the hot path of every console.
func BenchmarkList(b *testing.B) {
	h := fleet(b, 10000)
	e, root := echo.New(), superuser(b, h.cfg.DB)
	for _, query := range []string{"", "slim=Params,Meta", "params=i", "fields=Name,Uuid", "Pool=default&slim=Params", "i=Gt(9990)", "sort=Name&limit=50"} {
		b.Run("query="+query, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c := e.NewContext(httptest.NewRequest(http.MethodGet, "/?"+query, nil), nowhere{httptest.NewRecorder()})
				c.Set(identityKey, root)
				require.NoError(b, h.list(c))
			}
		})
	}
}

// superuser logs in to a DB without users.
func superuser(t testing.TB, db *resource.DB) auth.Identity {
	t.Helper()
	a, err := auth.New(auth.Config{DB: db, Keys: [][]byte{bytes.Repeat([]byte("k"), 32)}})
	require.NoError(t, err)
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Users.Create(tx, &api.User{Name: "root", Roles: []string{auth.Superuser}})
	}))
	text, err := a.UserToken(auth.Identity{}, "root", time.Hour, auth.Narrow{})
	require.NoError(t, err)
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.Header.Set("Authorization", "Bearer "+text)
	id, err := a.Authenticate(t.Context(), req)
	require.NoError(t, err)
	return id
}
