package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"drpd/pkg/daemon"
	"drpd/pkg/datadir"
	"drpd/pkg/keeper"
)

// exitStatus is that of the server, which its keeper ends with.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("the server ended with status %d", int(s)) }

// stageCommand is hidden: drpd starts itself by it in a cell.
func stageCommand() *cobra.Command {
	return &cobra.Command{
		Use: keeper.StageCmd, Short: "Begin a confined process", Hidden: true, DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error { return keeper.Stage(args) },
	}
}

// serve is the server, or if root started it the server's keeper.
func (o *options) serve(ctx context.Context, cfg daemon.Config, args []string, stdout io.Writer) error {
	kept, err := keeper.Kept()
	if err != nil {
		return err
	}
	if kept == nil && os.Geteuid() == 0 {
		return o.keep(cfg, args)
	}
	if kept == nil && o.user != "" {
		return fmt.Errorf("--user %s: only root can start the server as another user: start it as root, or leave --user out", o.user)
	}
	if err := reachable(cfg); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if kept != nil {
		cfg.Keeper = kept
		_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(args[0])), 0) // for ps; it was executed as exe
		if err := keeper.KeepToSelf(); err != nil {
			cfg.Log.Warn("programs that the server starts (ipmitool) get its capabilities", "err", err)
		}
		go func() { // ends with the keeper
			<-kept.Lost()
			cancel(errors.New("the keeper is gone"))
		}()
	}
	daemon.TuneMemory()
	return serve(ctx, cfg, stdout)
}

func (o *options) keep(cfg daemon.Config, args []string) error {
	at := datadir.Config{Database: cfg.Database, InMemory: cfg.Database == daemon.InMemory}
	if at.InMemory {
		at.Database = ""
	}
	ours := func(dir string) error {
		at.Dir = dir
		return datadir.Ours(at)
	}
	status, err := keeper.Run(keeper.ServerConfig{User: o.user, Args: args, DataDir: cfg.DataDir, Ours: ours, Caps: capabilities(cfg), Log: cfg.Log})
	if err == nil && status != 0 {
		return exitStatus(status)
	}
	return err
}

// capabilities are those that the server cannot do without: low ports, and for
// DHCP router advertisements and entries in the table of neighbors.
func capabilities(cfg daemon.Config) []uintptr {
	caps := []uintptr{unix.CAP_NET_BIND_SERVICE}
	if cfg.DHCPOnAll || len(cfg.Interfaces) > 0 {
		caps = append(caps, unix.CAP_NET_RAW, unix.CAP_NET_ADMIN)
	}
	return caps
}

// reachable refuses what the server is told to use and may not get to.
func reachable(cfg daemon.Config) error {
	list := map[string]string{"--data-dir": cfg.DataDir, "--tls-cert": cfg.CertFile, "--tls-key": cfg.KeyFile, "--loaders": cfg.Loaders}
	if cfg.Database != "" && cfg.Database != daemon.InMemory {
		list["--database"] = cfg.Database
		if err := keeper.Reach("--database", filepath.Dir(cfg.Database)); err != nil {
			return err
		}
	}
	var errs []error
	for flag, path := range list {
		errs = append(errs, keeper.Reach(flag, path))
	}
	return errors.Join(errs...)
}

// asBefore gives what a command of root made in a data directory to who the
// directory belongs to: the server is not root.
func asBefore(dir string, do func() error) error {
	if os.Geteuid() != 0 {
		return do()
	}
	was, err := keeper.OwnerOf(dir)
	if err != nil || was.UID == 0 {
		return do()
	}
	err = do()
	if datadir.Ours(datadir.Config{Dir: dir}) != nil {
		return err // a wrong directory, which nothing was made in
	}
	return errors.Join(err, keeper.Own(dir, was))
}
