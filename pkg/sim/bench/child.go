package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof" // only in the bench's own server
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/metrics"
	"syscall"

	"drpd/pkg/daemon"
)

// serveArg as first argument makes this program the server that is measured.
const serveArg = "serve"

// serveChild runs drpd as its command does, and besides answers how much it
// has allocated. It prints its addresses and the first user's password.
func serveChild(args []string) error {
	f := flag.NewFlagSet(serveArg, flag.ContinueOnError)
	dir := f.String("dir", "", "data directory")
	if err := f.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var taken [4]net.Listener
	for i := range taken {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		taken[i] = l
	}
	plain, control, api, files := taken[0], taken[1], taken[2].Addr().String(), taken[3].Addr().String()
	taken[2].Close() // the daemon opens these two itself
	taken[3].Close()
	daemon.TuneMemory()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	d, err := daemon.Open(ctx, daemon.Config{DataDir: *dir, APIAddr: api, FileAddr: files, TFTPAddr: "off", Plain: plain, Log: log})
	if err != nil {
		return err
	}
	defer d.Close()
	http.HandleFunc("/allocs", func(w http.ResponseWriter, _ *http.Request) {
		objects, bytes := allocated()
		fmt.Fprintln(w, objects, bytes)
	})
	http.HandleFunc("/settle", func(http.ResponseWriter, *http.Request) { debug.FreeOSMemory() })
	go http.Serve(control, nil) // until the process ends
	return d.Run(ctx, func() {
		fmt.Println(plain.Addr(), api, control.Addr(), d.FirstPassword)
	})
}

// allocated is the number and size of all heap objects made so far.
func allocated() (objects, bytes uint64) {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64(), s[1].Value.Uint64()
}
