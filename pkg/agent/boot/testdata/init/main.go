//go:build linux

// Command init is the first process of the throwaway image with which the
// QEMU test tries the agent's hardware packages. It is not shipped.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"

	"drpd/pkg/agent/boot"
	"drpd/pkg/agent/disk"
	"drpd/pkg/agent/facts"
)

func main() {
	console, out := io.Writer(os.Stderr), boot.MountAll()
	if c, err := boot.Console(); err == nil {
		console = c
	}
	log := slog.New(slog.NewTextHandler(console, nil))
	if out != nil {
		log.Error("mount", "err", out)
	}
	if err := run(context.Background(), console, log); err != nil {
		fmt.Fprintf(console, "RESULT FAILED %v\n", err)
	} else {
		fmt.Fprintln(console, "RESULT OK")
	}
	if err := boot.PowerOff(); err != nil {
		log.Error("power off", "err", err)
	}
	select {}
}

func run(ctx context.Context, console io.Writer, log *slog.Logger) error {
	go boot.Reap(ctx)
	if err := boot.LoadModules("/etc/drpd/modules", log); err != nil {
		return err
	}
	random := make(chan time.Duration, 1)
	go func() {
		start := time.Now()
		if boot.AwaitRandom() == nil {
			random <- time.Since(start)
		}
	}()
	cmd, err := boot.ReadCmdline()
	if err != nil {
		return err
	}
	start := time.Now()
	lease, err := boot.Network{BootMAC: cmd.BootMAC(), Log: log}.BringUp(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(console, "PHASE network wall=%.2f uptime=%.2f\n", time.Since(start).Seconds(), uptime())
	if err := boot.SetHostname("node-" + lease.Addr.Addr().String()); err != nil {
		return err
	}
	set, err := boot.SetClock(time.Now().Add(time.Hour))
	fmt.Fprintf(console, "PHASE clock set=%v err=%v\n", set, err)
	inv, err := facts.Source{}.Collect()
	if err != nil {
		return err
	}
	b, _ := json.Marshal(inv)
	fmt.Fprintf(console, "FACTS %s\n", b)
	if err := work(ctx, cmd, console); err != nil {
		return err
	}
	select {
	case d := <-random:
		fmt.Fprintf(console, "PHASE random wall=%.2f\n", d.Seconds())
	default:
		fmt.Fprintln(console, "PHASE random not ready")
	}
	return nil
}

func work(ctx context.Context, cmd boot.Cmdline, console io.Writer) error {
	want := disk.Want{Serial: cmd.Get("serial")}
	if cmd.Get("do") == "bench" {
		return bench(console)
	}
	if cmd.Get("do") == "wipe" {
		return wipe(ctx, want, cmd.Get("mode"), console)
	}
	res, err := http.Get(cmd.Get("url"))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	size, err := strconv.ParseInt(cmd.Get("size"), 10, 64)
	if err != nil {
		return err
	}
	var rep disk.Report
	err = phase(console, "deploy", size, func() (err error) {
		rep, err = disk.Host{}.Deploy(ctx, disk.Deploy{
			Want: want, Image: res.Body, SHA256: cmd.Get("sha256"), RawSize: size, Log: console,
		})
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(console, "REPORT %+v\n", rep)
	return phase(console, "personalize", 0, func() error {
		return disk.Host{}.Personalize(ctx, disk.Personalize{Want: want, Label: "root", Log: console,
			Files: []disk.File{{Path: "/etc/hostname", Mode: 0o644, Content: []byte("node7\n")}}})
	})
}

func wipe(ctx context.Context, want disk.Want, mode string, console io.Writer) error {
	wants := []disk.Want{want}
	var reps []disk.Report
	err := phase(console, "wipe", 0, func() (err error) {
		reps, err = disk.Host{}.Wipe(ctx, disk.Wipe{Wants: wants, Mode: mode, Log: console})
		return err
	})
	if err != nil {
		return err
	}
	return phase(console, "blank", reps[0].Bytes, func() error {
		_, err := disk.Host{}.VerifyBlank(ctx, wants, console)
		return err
	})
}

// bench measures the parts of a deploy each by itself, in MB/s of 1 MiB blocks.
func bench(console io.Writer) error {
	const rounds = 64
	block, zeros := make([]byte, 1<<20), make([]byte, 1<<20)
	for name, do := range map[string]func(){
		"sha256":  func() { sha256.Sum256(block) },
		"xxhash":  func() { xxhash.Sum64(block) },
		"compare": func() { _ = bytes.Equal(block, zeros) },
		"copy":    func() { copy(block, zeros) },
	} {
		err := phase(console, "bench-"+name, rounds<<20, func() error {
			for range rounds {
				do()
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func phase(console io.Writer, name string, size int64, do func() error) error {
	start, cpu := time.Now(), cpuSeconds()
	err := do()
	wall := time.Since(start).Seconds()
	fmt.Fprintf(console, "PHASE %s wall=%.2f cpu=%.2f MBps=%.1f err=%v\n",
		name, wall, cpuSeconds()-cpu, float64(size)/1e6/wall, err)
	return err
}

func cpuSeconds() float64 {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}

func uptime() float64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0
	}
	return float64(t.Nano()) / 1e9
}
