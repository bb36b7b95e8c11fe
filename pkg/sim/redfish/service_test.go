package redfish

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const systemAt = "/redfish/v1/Systems/1"

// rig is a service with a machine in memory and a clock that the test turns.
type rig struct {
	service *Service
	machine *Memory
	faults  *Faults
	now     time.Time
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{machine: &Memory{}, faults: &Faults{}, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	service, err := New(Config{
		User: "admin", Password: "secret", Machine: r.machine, Faults: r.faults,
		System: System{Name: "n1", UUID: "a1234567-89ab-4def-a123-456789abcdef", MAC: "52:54:00:aa:00:01", UEFI: true},
		Now:    func() time.Time { return r.now },
	})
	require.NoError(t, err)
	r.service = service
	return r
}

// do sends a request with the right password unless headers bring another login.
func (r *rig) do(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.SetBasicAuth("admin", "secret")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	r.service.ServeHTTP(rec, req)
	return rec
}

// messageID is the first extended message of an error answer.
func messageID(t *testing.T, rec *httptest.ResponseRecorder) string {
	t.Helper()
	var body struct {
		Error struct {
			Code string
			Info []struct{ MessageId string } `json:"@Message.ExtendedInfo"`
		}
	}
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &body), rec.Body.String())
	require.Equal(t, "Base.1.8.GeneralError", body.Error.Code)
	require.Len(t, body.Error.Info, 1)
	return strings.TrimPrefix(body.Error.Info[0].MessageId, "Base.1.8.")
}

func TestEveryLinkAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	seen, queue := map[string]bool{}, []string{"/redfish/v1/", "/redfish"}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		rec := r.do("GET", path, "")
		require.Equal(t, http.StatusOK, rec.Code, path)
		var body any
		require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &body))
		queue = append(queue, linksIn(body)...)
	}
	assert.GreaterOrEqual(t, len(seen), 11)
}

func linksIn(value any) (found []string) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if path, ok := inner.(string); ok && key == "@odata.id" {
				found = append(found, path)
			}
			found = append(found, linksIn(inner)...)
		}
	case []any:
		for _, inner := range v {
			found = append(found, linksIn(inner)...)
		}
	}
	return found
}

func TestPowerAndBoot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	reset := func(kind string) int {
		return r.do("POST", systemAt+"/Actions/ComputerSystem.Reset", `{"ResetType":"`+kind+`"}`).Code
	}
	rec := r.do("PATCH", systemAt, `{"Boot":{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Once","BootSourceOverrideMode":"UEFI"}}`)
	require.Equal(t, http.StatusOK, rec.Code, rec.Body.String())
	assert.Contains(t, rec.Body.String(), `"BootSourceOverrideEnabled":"Once"`)

	assert.Equal(t, http.StatusNoContent, reset("On"))
	assert.Contains(t, r.do("GET", systemAt, "").Body.String(), `"BootSourceOverrideEnabled":"Disabled"`)
	assert.Equal(t, http.StatusNoContent, reset("ForceRestart"))
	r.do("PATCH", systemAt, `{"Boot":{"BootSourceOverrideTarget":"Hdd","BootSourceOverrideEnabled":"Continuous"}}`)
	assert.Equal(t, http.StatusNoContent, reset("PowerCycle"))
	assert.Equal(t, http.StatusNoContent, reset("GracefulShutdown"))
	assert.Equal(t, http.StatusConflict, reset("PowerCycle"), "it is off")
	assert.Equal(t, http.StatusNoContent, reset("On"))
	assert.Equal(t, http.StatusNoContent, reset("ForceOff"))
	assert.Contains(t, r.do("GET", systemAt, "").Body.String(), `"PowerState":"Off"`)
	assert.Equal(t, []string{"on from Pxe", "reset", "reset from Hdd", "soft-off", "on from Hdd", "off"}, r.machine.History())

	r.do("PATCH", systemAt, `{"Boot":{"BootSourceOverrideEnabled":"Disabled"}}`)
	assert.Contains(t, r.do("GET", systemAt, "").Body.String(), `"BootSourceOverrideTarget":"None"`)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	reset := systemAt + "/Actions/ComputerSystem.Reset"
	cases := []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		message                  string
	}{
		{"unknown address", "GET", "/redfish/v1/Fabrics", "", nil, 404, "ResourceMissingAtURI"},
		{"other system", "GET", "/redfish/v1/Systems/2", "", nil, 404, "ResourceMissingAtURI"},
		{"no such session", "GET", sessionsPath + "/9", "", nil, 404, "ResourceMissingAtURI"},
		{"delete no such session", "DELETE", sessionsPath + "/9", "", nil, 404, "ResourceMissingAtURI"},
		{"wrong method", "PUT", systemAt, "{}", nil, 405, "OperationNotAllowed"},
		{"wrong password", "GET", systemAt, "", []string{"Authorization", "Basic YWRtaW46eA=="}, 401, "NoValidSession"},
		{"token beats password", "GET", systemAt, "", []string{"X-Auth-Token", "x"}, 401, "NoValidSession"},
		{"session with wrong password", "POST", sessionsPath, `{"UserName":"admin","Password":"x"}`, nil, 401, "NoValidSession"},
		{"session without a body", "POST", sessionsPath, "", nil, 400, "MalformedJSON"},
		{"no JSON", "PATCH", systemAt, "{", nil, 400, "MalformedJSON"},
		{"a list", "PATCH", systemAt, "[]", nil, 400, "MalformedJSON"},
		{"not JSON by name", "PATCH", systemAt, "a=b", []string{"Content-Type", "text/plain"}, 415, "GeneralError"},
		{"too large", "PATCH", systemAt, `{"x":"` + strings.Repeat("x", maxBody) + `"}`, nil, 413, "GeneralError"},
		{"empty patch", "PATCH", systemAt, "{}", nil, 400, "EmptyJSON"},
		{"null boot", "PATCH", systemAt, `{"Boot":null}`, nil, 400, "EmptyJSON"},
		{"boot of wrong type", "PATCH", systemAt, `{"Boot":"Pxe"}`, nil, 400, "PropertyValueTypeError"},
		{"target of wrong type", "PATCH", systemAt, `{"Boot":{"BootSourceOverrideTarget":1}}`, nil, 400, "PropertyValueTypeError"},
		{"read-only property", "PATCH", systemAt, `{"PowerState":"On"}`, nil, 400, "PropertyNotWritable"},
		{"unknown boot property", "PATCH", systemAt, `{"Boot":{"X":1}}`, nil, 400, "PropertyNotWritable"},
		{"unknown target", "PATCH", systemAt, `{"Boot":{"BootSourceOverrideTarget":"Cd"}}`, nil, 400, "PropertyValueNotInList"},
		{"other firmware mode", "PATCH", systemAt, `{"Boot":{"BootSourceOverrideMode":"Legacy"}}`, nil, 400, "PropertyValueNotInList"},
		{"old ETag", "PATCH", systemAt, `{"Boot":{"BootSourceOverrideTarget":"Pxe"}}`, []string{"If-Match", `"0"`}, 412, "PreconditionFailed"},
		{"reset without a type", "POST", reset, "{}", nil, 400, "ActionParameterMissing"},
		{"unknown reset", "POST", reset, `{"ResetType":"Nmi"}`, nil, 400, "ActionParameterValueNotInList"},
		{"restart when off", "POST", reset, `{"ResetType":"ForceRestart"}`, nil, 409, "ResourceInUse"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			rec := r.do(c.method, c.path, c.body, c.headers...)
			assert.Equal(t, c.status, rec.Code, rec.Body.String())
			assert.Equal(t, c.message, messageID(t, rec))
			assert.Empty(t, r.machine.History())
			assert.Equal(t, "4.0", rec.Header().Get("OData-Version"))
		})
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	login := func() *httptest.ResponseRecorder {
		return r.do("POST", sessionsPath+"/", `{"UserName":"admin","Password":"secret"}`, "Authorization", "")
	}
	made := login()
	require.Equal(t, http.StatusCreated, made.Code)
	token, at := made.Header().Get("X-Auth-Token"), made.Header().Get("Location")
	assert.Equal(t, sessionsPath+"/1", at)
	read := func() int { return r.do("GET", systemAt, "", "Authorization", "", "X-Auth-Token", token).Code }
	assert.Equal(t, http.StatusOK, read())

	r.now = r.now.Add(29 * time.Minute)
	assert.Equal(t, http.StatusOK, read(), "use keeps it")
	r.now = r.now.Add(30 * time.Minute)
	assert.Equal(t, http.StatusUnauthorized, read(), "timed out")

	made = login()
	token, at = made.Header().Get("X-Auth-Token"), made.Header().Get("Location")
	assert.Equal(t, http.StatusOK, read())
	assert.Equal(t, http.StatusNoContent, r.do("DELETE", at, "", "Authorization", "", "X-Auth-Token", token).Code)
	assert.Equal(t, http.StatusUnauthorized, read(), "deleted")

	for range maxSessions {
		require.Equal(t, http.StatusCreated, login().Code)
	}
	full := login()
	assert.Equal(t, http.StatusServiceUnavailable, full.Code)
	assert.Equal(t, "SessionLimitExceeded", messageID(t, full))
}

func TestETag(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	tag := r.do("GET", systemAt, "").Header().Get("ETag")
	require.Regexp(t, `^"[0-9a-f]{16}"$`, tag)
	assert.Equal(t, http.StatusNotModified, r.do("GET", systemAt, "", "If-None-Match", tag).Code)
	const patch = `{"Boot":{"BootSourceOverrideTarget":"Pxe"}}`
	changed := r.do("PATCH", systemAt, patch, "If-Match", `"1", W/`+tag)
	require.Equal(t, http.StatusOK, changed.Code)
	assert.Equal(t, http.StatusPreconditionFailed, r.do("PATCH", systemAt, patch, "If-Match", tag).Code)
	assert.Equal(t, http.StatusOK, r.do("PATCH", systemAt, patch, "If-Match", changed.Header().Get("ETag")).Code)
	assert.Equal(t, http.StatusOK, r.do("PATCH", systemAt, patch, "If-Match", "*").Code)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.faults.File = filepath.Join(t.TempDir(), "fault")
	code := func() int { return r.do("GET", systemAt, "").Code }
	assert.Equal(t, http.StatusOK, code(), "no file is no fault")

	require.NoError(t, WriteFault(r.faults.File, Fault{Unavailable: 2}))
	assert.Equal(t, []int{503, 503, 200, 200}, []int{code(), code(), code(), code()})
	require.NoError(t, WriteFault(r.faults.File, Fault{Claim: "On"}))
	assert.Contains(t, r.do("GET", systemAt, "").Body.String(), `"PowerState":"On"`)
	require.NoError(t, WriteFault(r.faults.File, Fault{}))
	assert.Contains(t, r.do("GET", systemAt, "").Body.String(), `"PowerState":"Off"`)
}

func FuzzPatch(f *testing.F) {
	f.Add(`{"Boot":{"BootSourceOverrideTarget":"Pxe"}}`)
	f.Add(`{"Boot":{"BootSourceOverrideEnabled":null}}`)
	f.Add(`{"Boot":[]}`)
	f.Fuzz(func(t *testing.T, body string) {
		r := newRig(t)
		rec := r.do("PATCH", systemAt, body, "Content-Type", "application/json")
		boot, err := r.machine.Boot(t.Context())
		require.NoError(t, err)
		assert.Contains(t, targetValues(), boot.Target)
		assert.Contains(t, enabledValues(), boot.Enabled)
		assert.True(t, json.Valid(rec.Body.Bytes()))
		assert.Less(t, rec.Code, 500)
	})
}
