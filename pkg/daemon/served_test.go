package daemon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pin/tftp/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/blob"
	"drpd/pkg/resource"
)

// boots is a server that serves files/x over HTTP and TFTP, and its API.
func boots(t *testing.T) (d *Daemon, api *httptest.Server, fetch func()) {
	t.Helper()
	d, err := Open(t.Context(), Config{DataDir: t.TempDir(), APIAddr: "127.0.0.1:0", FileAddr: "127.0.0.1:0", TFTPAddr: "off"})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, d.Close()) })
	s, err := d.listen()
	require.NoError(t, err)
	t.Cleanup(s.close)
	_, err = d.blobs.Put(t.Context(), "files/x", strings.NewReader("kernel"), blob.PutOptions{MaxSize: 1 << 20})
	require.NoError(t, err)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.pxe.ServeTFTP(ctx, conn) }()
	t.Cleanup(func() { cancel(); assert.NoError(t, <-ended) })
	static := httptest.NewServer(d.pxe.Handler())
	t.Cleanup(static.Close)
	api = httptest.NewServer(s.handler)
	t.Cleanup(func() { api.CloseClientConnections(); api.Close() })
	return d, api, func() {
		t.Helper()
		resp, err := http.Get(static.URL + "/files/x")
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		require.Equal(t, 200, resp.StatusCode)
		client, err := tftp.NewClient(conn.LocalAddr().String())
		require.NoError(t, err)
		r, err := client.Receive("files/x", "octet")
		require.NoError(t, err)
		var b bytes.Buffer
		_, err = r.WriteTo(&b)
		require.NoError(t, err)
		require.Equal(t, "kernel", b.String())
	}
}

// TestServedFilesAreTold: as static.serve and tftp.serve to those who follow
// them, and to nobody else.
func TestServedFilesAreTold(t *testing.T) {
	t.Parallel()
	d, api, fetch := boots(t)
	before := d.DB.Seq()
	fetch()
	assert.Equal(t, before, d.DB.Seq(), "nobody follows: nothing is published")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api.URL+"/api/v3/events/stream?register=static.serve.*&register=tftp.serve.*", nil)
	require.NoError(t, err)
	req.SetBasicAuth("rocketskates", d.FirstPassword)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	require.True(t, lines.Scan(), "it follows")
	fetch()
	got := map[string]bool{}
	for len(got) < 2 && lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var e resource.Event
			require.NoError(t, json.Unmarshal([]byte(data), &e))
			got[e.Type+"."+e.Action+"."+e.Key] = true
		}
	}
	assert.Equal(t, map[string]bool{"static.serve.files/x": true, "tftp.serve.files/x": true}, got)
}
