//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"drpd/pkg/agent/boot"
	"drpd/pkg/client"
)

const (
	// moduleList names the drivers of the discovery image.
	moduleList = "/etc/drpd/modules"
	// initState is where the agent keeps its state in memory.
	initState = "/run/drp-agent"
)

// Init is the first process of the discovery image. It reads its configuration
// from the kernel command line (drpd.url, drpd.ca, drpd.token, drpd.env,
// drpd.mac), brings the machine up and runs the agent. It never returns: the
// kernel would panic. What goes wrong is printed to the console and tried again.
func Init() {
	mounts := boot.MountAll()
	console := io.Writer(os.Stderr)
	if c, err := boot.Console(); err == nil {
		console = c
	}
	log := slog.New(slog.NewTextHandler(console, nil))
	if mounts != nil {
		log.Error("mount", "err", mounts)
	}
	if err := boot.LoadModules(moduleList, log); err != nil {
		log.Error("load modules", "err", err)
	}
	// No process is adopted here that somebody would have to reap: the image has
	// no shell, and scripts that a rescue image may run are waited for.
	ctx := context.Background()
	wait := pace()
	for {
		log.Error("agent ended, starting it again", "err", initOnce(ctx, log))
		wait.Sleep(ctx)
	}
}

// initOnce is one try from the network to the end of the agent. A panic is an
// error as any other.
func initOnce(ctx context.Context, log *slog.Logger) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	cmd, err := boot.ReadCmdline()
	if err != nil {
		return err
	}
	lease, err := boot.Network{BootMAC: cmd.BootMAC(), Log: log}.BringUp(ctx)
	if err != nil {
		return err
	}
	log.Info("network is up", "interface", lease.Interface, "address", lease.Addr, "server", lease.Server)
	if lease.Hostname != "" {
		if err := boot.SetHostname(lease.Hostname); err != nil {
			log.Warn("host name not set", "err", err)
		}
	}
	if err := boot.AwaitRandom(); err != nil {
		return fmt.Errorf("wait for random numbers: %w", err)
	}
	cfg := Config{Endpoint: cmd.Get("url"), CAFingerprint: cmd.Get("ca"), Token: cmd.Get("token"),
		Env: cmd.Get("env"), Context: cmd.Get("context"), StateDir: initState, Log: log}
	if err := setClock(ctx, cfg.Endpoint); err != nil {
		log.Warn("clock not compared with the server", "err", err)
	}
	if err := Run(ctx, cfg); err != nil {
		return err
	}
	return errors.New("the agent has stopped")
}

// setClock sets a clock that is behind to the time in the server's answer, for
// with a clock in the past no certificate is valid. The server is not verified
// for this, is told nothing, and can only move the clock forward.
func setClock(ctx context.Context, endpoint string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	now, err := client.ServerTime(ctx, endpoint)
	if err != nil {
		return err
	}
	_, err = boot.SetClock(now)
	return err
}
