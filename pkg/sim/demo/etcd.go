package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"drpd/pkg/api"
)

// etcdAddrs are the client addresses of the members, by the cluster's profile.
func (s *site) etcdAddrs(ctx context.Context) ([]string, error) {
	var p api.Profile
	if err := s.get(ctx, &p, "profiles", "show", "demo"); err != nil {
		return nil, err
	}
	var out []string
	list, _ := p.Params["cluster/members"].([]any)
	for _, v := range list {
		m, _ := v.(map[string]any)
		out = append(out, fmt.Sprintf("%v:2379", m["Address"]))
	}
	if len(out) == 0 {
		return nil, errors.New("cluster/members is empty")
	}
	return out, nil
}

// etcdClient speaks etcd's JSON gateway from inside the rack.
func (s *site) etcdClient() *http.Client {
	return &http.Client{Timeout: 4 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return s.rack.Dial(ctx, network, addr)
		},
	}}
}

func etcdCall(ctx context.Context, c *http.Client, addr, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd at %s: %s", addr, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(out)
}

// etcdMembers asks one member for the names of all.
func (s *site) etcdMembers(ctx context.Context) ([]string, error) {
	addrs, err := s.etcdAddrs(ctx)
	if err != nil {
		return nil, err
	}
	var out struct{ Members []struct{ Name string } }
	if err := etcdCall(ctx, s.etcdClient(), addrs[0], "/v3/cluster/member/list", struct{}{}, &out); err != nil {
		return nil, err
	}
	var names []string
	for _, m := range out.Members {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	return names, nil
}

// load is a client that writes twice a second and tries another member when
// one does not answer.
type load struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup

	writes, retries, failed int // read after wg.Wait
}

func (s *site) startLoad(ctx context.Context) (*load, error) {
	addrs, err := s.etcdAddrs(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel}
	client := s.etcdClient()
	l.wg.Go(func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				l.write(context.WithoutCancel(ctx), client, addrs)
			}
		}
	})
	return l, nil
}

// write puts one key; each member is tried up to three times.
func (l *load) write(ctx context.Context, c *http.Client, addrs []string) {
	l.writes++
	b64 := base64.StdEncoding.EncodeToString
	in := map[string]string{"key": b64(fmt.Appendf(nil, "w%d", l.writes)), "value": b64([]byte("x"))}
	for try := range 3 * len(addrs) {
		if try > 0 {
			l.retries++
		}
		var out any
		if etcdCall(ctx, c, addrs[(l.writes+try)%len(addrs)], "/v3/kv/put", in, &out) == nil {
			return
		}
	}
	l.failed++
}

func (l *load) stop() (writes, retries, failed int) {
	l.cancel()
	l.wg.Wait()
	return l.writes, l.retries, l.failed
}
