package rest_test

import (
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// TestRanges: logs, files and ISOs are served in parts alike.
func TestRanges(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	const id2 = "22222222-2222-4222-8222-222222222222"
	r.put(t, func(tx *resource.Tx) error {
		note := &api.Job{Uuid: id2, State: api.JobFinished, Note: map[string]any{"log": "0123456789"}}
		if err := api.Jobs.Create(tx, note); err != nil {
			return err
		}
		return api.Jobs.Create(tx, &api.Job{Uuid: id1, State: api.JobRunning})
	})
	log := "/jobs/" + id1 + "/log"
	const text = "0123456789"
	require.Equal(t, 204, r.do(t, "PUT", log, text, "Content-Type", "application/octet-stream").status)
	for _, at := range []string{"/files/a/f", "/isos/i.iso"} {
		require.Equal(t, 201, r.do(t, "POST", at, text, "Content-Type", "application/octet-stream").status)
	}
	for _, at := range []string{log, "/jobs/" + id2 + "/log", "/files/a/f", "/isos/i.iso"} {
		whole := r.do(t, "GET", at, "")
		tag := whole.head.Get("ETag")
		require.NotEmpty(t, tag, at)
		assert.Equal(t, "bytes", whole.head.Get("Accept-Ranges"), at)
		for _, c := range []struct {
			method, ranges, ifRange string
			status                  int
			content, body           string
		}{
			{"GET", "bytes=2-4", "", 206, "bytes 2-4/10", "234"},
			{"GET", "bytes=8-", "", 206, "bytes 8-9/10", "89"},
			{"GET", "bytes=-3", "", 206, "bytes 7-9/10", "789"},
			{"GET", "bytes=-99", "", 206, "bytes 0-9/10", text},
			{"HEAD", "bytes=2-4", "", 206, "bytes 2-4/10", ""},
			{"GET", "bytes=10-", "", 416, "bytes */10", ""},
			{"HEAD", "bytes=10-", "", 416, "bytes */10", ""},
			{"GET", "bytes=4-2", "", 416, "", ""},
			{"GET", "lines=1-2", "", 416, "", ""},
			{"GET", "bytes=2-4", tag, 206, "bytes 2-4/10", "234"},
			{"GET", "bytes=2-4", `"other"`, 200, "", text},
			{"GET", "bytes=2-4", "W/" + tag, 200, "", text},
			{"GET", "bytes=0-0" + strings.Repeat(",0-0", 16), "", 416, "bytes */10", ""},
		} {
			name := strings.Join([]string{c.method, at, c.ranges, c.ifRange}, " ")
			got := r.do(t, c.method, at, "", "Range", c.ranges, "If-Range", c.ifRange)
			assert.Equal(t, c.status, got.status, name)
			assert.Equal(t, c.content, got.head.Get("Content-Range"), name)
			if c.status != 416 {
				assert.Equal(t, c.body, got.body, name)
			}
		}
		assert.Equal(t, "10", r.do(t, "HEAD", at, "").head.Get("Content-Length"), at)
		assert.Equal(t, []string{"01", "89"}, parts(t, r.do(t, "GET", at, "", "Range", "bytes=0-1,8-9")), at)
	}
}

// parts are the bodies of a multipart reply.
func parts(t *testing.T, p reply) (out []string) {
	t.Helper()
	require.Equal(t, 206, p.status, p.body)
	kind, params, err := mime.ParseMediaType(p.head.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/byteranges", kind)
	for m := multipart.NewReader(strings.NewReader(p.body), params["boundary"]); len(out) < 9; {
		part, err := m.NextPart()
		if err == io.EOF {
			return out
		}
		require.NoError(t, err)
		assert.Equal(t, "application/octet-stream", part.Header.Get("Content-Type"))
		data, err := io.ReadAll(part)
		require.NoError(t, err)
		out = append(out, string(data))
	}
	return out
}

// TestRangeOfAGrowingLog: what was had before the log grew is not had again.
func TestRangeOfAGrowingLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.put(t, func(tx *resource.Tx) error { return api.Jobs.Create(tx, &api.Job{Uuid: id1, State: api.JobRunning}) })
	at := "/jobs/" + id1 + "/log"
	add := func(text string) { r.do(t, "PUT", at, text, "Content-Type", "application/octet-stream") }
	assert.Equal(t, 200, r.do(t, "GET", at, "", "Range", "bytes=0-").status, "an empty log has no range, and is no error")
	add("one ")
	tag := r.do(t, "HEAD", at, "").head.Get("ETag")
	assert.Equal(t, 304, r.do(t, "GET", at, "", "If-None-Match", tag).status)
	assert.Equal(t, 416, r.do(t, "GET", at, "", "Range", "bytes=4-").status)
	add("two")
	assert.Equal(t, "two", r.do(t, "GET", at, "", "Range", "bytes=4-").body)
	assert.Equal(t, "one two", r.do(t, "GET", at, "", "Range", "bytes=4-", "If-Range", tag).body, "it is another log by now")
	assert.Equal(t, "wo", r.do(t, "GET", at+"?from=4", "", "Range", "bytes=1-").body, "a range is of what from leaves")
	assert.Equal(t, "7", r.do(t, "GET", at+"?from=4", "", "Range", "bytes=1-").head.Get("X-DRP-LOG-SIZE"))
}
