package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/auth/password"
	"drpd/pkg/blob"
	"drpd/pkg/client"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/store/mem"
)

// exampleServer is a server in this process, with some pools. A program would
// name one that runs:
//
//	c, err := client.New(client.Config{Endpoint: "https://drpd:8092", Token: token, CertFingerprint: pin})
func exampleServer(ctx context.Context) (*client.Client, func()) {
	db, err := resource.Open(ctx, resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds()})
	must(err)
	a, err := auth.New(auth.Config{DB: db, Keys: [][]byte{bytes.Repeat([]byte("k"), 32)}, Scrypt: password.Params{LogN: 4, R: 8, P: 1}})
	must(err)
	must(db.Update(ctx, func(tx *resource.Tx) error {
		return errors.Join(api.Users.Create(tx, &api.User{Name: "root", Roles: []string{auth.Superuser}}),
			api.Pools.Create(tx, &api.Pool{Id: "rack1"}), api.Pools.Create(tx, &api.Pool{Id: "rack2"}), api.Pools.Create(tx, &api.Pool{Id: "spare"}))
	}))
	must(a.SetPassword(ctx, auth.Identity{}, "root", "right horse"))
	dir, err := os.MkdirTemp("", "example-")
	must(err)
	blobs, err := blob.OpenDir(dir)
	must(err)
	h, err := rest.New(rest.Config{DB: db, Auth: a, Blobs: blobs})
	must(err)
	srv := httptest.NewServer(h)
	c, err := client.New(client.Config{Endpoint: srv.URL, User: "root", Password: "right horse"})
	must(err)
	return c, func() { srv.CloseClientConnections(); srv.Close(); blobs.Close(); os.RemoveAll(dir) }
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// List with filters: fields that must match, and how the list is arranged.
func ExampleList() {
	ctx := context.Background()
	c, stop := exampleServer(ctx)
	defer stop()

	pools, err := client.List(ctx, c, api.Pools, "Id=Re(^rack)", "sort=Id", "reverse=true", "limit=10")
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range pools {
		fmt.Println(p.Id)
	}
	n, err := client.Count(ctx, c, api.Pools)
	fmt.Println(n, err)
	// Output:
	// rack2
	// rack1
	// 3 <nil>
}

// Compare and swap: the patch holds only if the field still is what was read.
func ExamplePatch() {
	ctx := context.Background()
	c, stop := exampleServer(ctx)
	defer stop()

	p, err := client.Get(ctx, c, api.Pools, "rack1")
	if err != nil {
		log.Fatal(err)
	}
	old := p.Description
	p, err = client.Patch(ctx, c, api.Pools, "rack1", client.Swap("/Description", old, "row A")...)
	fmt.Println(p.Description, err)

	_, err = client.Patch(ctx, c, api.Pools, "rack1", client.Swap("/Description", old, "row B")...)
	fmt.Println(client.Status(err))
	// Output:
	// row A <nil>
	// 409
}

// Follow events: whoever reads the state after "connected" misses nothing.
func ExampleClient_Watch() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, stop := exampleServer(ctx)
	defer stop()

	for e, err := range c.Watch(ctx, "pools.*.*") {
		if errors.Is(err, client.ErrLagged) {
			continue // read everything again
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Type, e.Action)
		if e.Action == "delete" {
			break
		}
		if _, err := client.Delete(ctx, c, api.Pools, "spare"); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// watch connected
	// pools delete
}

// Upload a file with the checksum it must have, and see it go.
func ExampleClient_UploadFile() {
	ctx := context.Background()
	c, stop := exampleServer(ctx)
	defer stop()

	text := "a kernel"
	f, err := c.UploadFile(ctx, client.Upload{Area: "files", Path: "boot/vmlinuz", Body: strings.NewReader(text), Size: int64(len(text)),
		SHA256: "c2b6f1a1b1a2", Progress: func(int64) {}})
	fmt.Println(f != nil, client.Status(err))

	f, err = c.UploadFile(ctx, client.Upload{Area: "files", Path: "boot/vmlinuz", Body: strings.NewReader(text), Size: int64(len(text))})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(f.Path, f.Size, f.SHA256[:8])

	r, err := c.Stream(ctx, client.Request{Path: "/files/boot/vmlinuz"})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	fmt.Println(string(data), err)
	// Output:
	// false 400
	// files/boot/vmlinuz 8 4fff0d3e
	// a kernel <nil>
}
