package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// bed is one server with its machines and the clients that work on them.
type bed struct {
	plan    plan
	dir     string
	srv     *server
	token   string
	clients []*conn
	ids     []string            // uuids of the machines
	busy    [workers]sync.Mutex // one job of a machine at a time
	made    atomic.Int64
	visits  atomic.Int64 // so that each patch changes something
	turns   atomic.Int64 // so that each workflow is another one
}

func startBed(ctx context.Context, p plan, machines int) (*bed, error) {
	dir, err := os.MkdirTemp(p.dir, "drpd-bench-")
	if err != nil {
		return nil, err
	}
	b := &bed{plan: p, dir: dir, ids: make([]string, machines)}
	if b.srv, err = startServer(ctx, dir); err != nil {
		return nil, err
	}
	for _, do := range []func() error{b.login, b.content, b.fill} {
		if err := do(); err != nil {
			log, _ := os.ReadFile(b.srv.logs.Name())
			return nil, errors.Join(err, b.stop(), fmt.Errorf("server: %.2000s", log))
		}
	}
	return b, nil
}

func (b *bed) stop() error {
	for _, c := range b.clients {
		c.Close()
	}
	return errors.Join(b.srv.stop(), os.RemoveAll(b.dir))
}

// login gets a token by password once, and opens the clients' connections.
func (b *bed) login() error {
	c, err := dial(b.srv.plain, false, basic("rocketskates", b.srv.password))
	if err != nil {
		return err
	}
	defer c.Close()
	data, err := c.want(200, "GET", "users/rocketskates/token?ttl=36000", nil)
	if err != nil {
		return err
	}
	var t struct{ Token string }
	if err := json.Unmarshal(data, &t); err != nil {
		return err
	}
	b.token = t.Token
	b.clients, err = b.connect(false)
	return err
}

func (b *bed) connect(secure bool) (out []*conn, err error) {
	addr := b.srv.plain
	if secure {
		addr = b.srv.tls
	}
	for range b.plan.clients {
		c, err := dial(addr, secure, "Bearer "+b.token)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// jobTasks is the length of the workflow that job cycles run through.
const jobTasks = 20

// content makes two workflows for machines that are up: no boot environments.
func (b *bed) content() error {
	c := b.clients[0]
	var tasks []string
	for i := range jobTasks {
		name := fmt.Sprintf("work-%02d", i)
		tasks = append(tasks, name)
		task := map[string]any{"Name": name, "Templates": []any{map[string]any{"Name": "do", "Contents": "#!/bin/sh\necho {{.Machine.Name}}\n"}}}
		if err := b.post(c, "tasks", task); err != nil {
			return err
		}
	}
	for _, name := range []string{"bench-a", "bench-b"} {
		if err := b.post(c, "stages", map[string]any{"Name": name, "Tasks": tasks}); err != nil {
			return err
		}
		if err := b.post(c, "workflows", map[string]any{"Name": name, "Stages": []string{name}}); err != nil {
			return err
		}
	}
	_, err := c.want(201, "POST", "prefs", []byte(`{"defaultWorkflow":""}`))
	return err
}

func (b *bed) post(c *conn, kind string, v any) error {
	data, err := json.Marshal(v)
	if err == nil {
		_, err = c.want(201, "POST", kind, data)
	}
	return err
}

// machine is a body as an operator's inventory import would send it.
func machine(n int64) []byte {
	return fmt.Appendf(nil, `{"Name":"m%07d.rack%03d.example.com","Description":"row %d","HardwareAddrs":["02:00:%02x:%02x:%02x:%02x"],"Params":{`+
		`"bmc/address":"10.%d.%d.%d","bmc/user":"operator","location":{"hall":"A","row":%d,"rack":%d,"unit":%d},`+
		`"inventory/serial":"SN%010d","inventory/model":"R-2000","inventory/cores":64,"inventory/memory":549755813888,`+
		`"inventory/disks":[{"name":"nvme0n1","size":1920383410176,"serial":"D%010d0"},{"name":"nvme1n1","size":1920383410176,"serial":"D%010d1"}],`+
		`"inventory/nics":["eno1","eno2","ens1f0","ens1f1"],"owner/team":"platform","owner/ticket":"OPS-%d"}}`,
		n, n%1000, n%40, n>>24&255, n>>16&255, n>>8&255, n&255, n>>16&255, n>>8&255, n&255, n%40, n%1000, n%42, n, n, n, n)
}

// create makes one more machine and returns its uuid.
func (b *bed) create(c *conn) (string, error) {
	data, err := c.want(201, "POST", "machines", machine(b.made.Add(1)))
	if err != nil {
		return "", err
	}
	return uuidIn(data)
}

func uuidIn(data []byte) (string, error) {
	const field = `"Uuid":"`
	_, rest, ok := strings.Cut(string(data), field)
	if !ok || len(rest) < 36 {
		return "", fmt.Errorf("no uuid in %.200s", data)
	}
	return rest[:36], nil
}

func (b *bed) fill() error {
	_, err := b.spread(b.clients, len(b.ids), time.Hour, func(c *conn, i int) (err error) {
		b.ids[i], err = b.create(c)
		return err
	})
	return err
}

// spread runs do n times, or for as long as most, client after client on every
// len(clients)-th i, and counts how often it ran.
func (b *bed) spread(clients []*conn, n int, most time.Duration, do func(c *conn, i int) error) (int, error) {
	var wg sync.WaitGroup
	var ran atomic.Int64
	errs := make([]error, len(clients))
	end := time.Now().Add(most)
	for k, c := range clients {
		wg.Go(func() {
			for i := k; i < n && errs[k] == nil && time.Now().Before(end); i += len(clients) {
				if errs[k] = do(c, i); errs[k] == nil {
					ran.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(ran.Load()), errors.Join(errs...)
}
