//go:build linux

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"drpd/pkg/api"
	"drpd/pkg/client"
)

func joinCommand() *cobra.Command {
	cfg := Config{Env: "local"}
	var path string
	c := &cobra.Command{
		Use: "join", Short: "Make this running system a machine of the server, and write the agent's configuration", Args: cobra.NoArgs, SilenceUsage: true,
		Long: "Make this running system a machine of the server, and write the agent's configuration.\n\n" +
			"The server takes it for one of its machines if it leased it its address, or by the token of an operator (drpcli machines jointoken).",
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, flag := range []string{"endpoint", "ca", "token"} {
				if f := cmd.Flags().Lookup(flag); f.Value.String() == "" {
					return fmt.Errorf("--%s is wanted: %s", flag, f.Usage)
				}
			}
			m, err := Join(cmd.Context(), cfg, path)
			if err != nil {
				return err
			}
			says := fmt.Sprintf("join: this is machine %s (%s)\n", m.Name, m.Uuid)
			if m.Boot != nil && m.Boot.Error != "" {
				says += fmt.Sprintf("%s: let that happen with drpcli machines boot %s\n", m.Boot.Error, m.Name)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), says)
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&cfg.Endpoint, "endpoint", os.Getenv("RS_ENDPOINT"), "URL of the server, as https://10.0.0.1:8092; default: RS_ENDPOINT of the environment")
	f.StringVar(&cfg.CAFingerprint, "ca", "", "SHA-256 of the server's CA, by which it is known, as the server prints it")
	f.StringVar(&cfg.Token, "token", os.Getenv("JOIN_TOKEN"), "token to join with; default: JOIN_TOKEN of the environment")
	f.StringVar(&cfg.Env, "env", cfg.Env, "boot environment that this system is")
	f.StringVar(&path, "config", DefaultConfig, "configuration file to write")
	return c
}

// Join asks the server who this machine is and writes the configuration of its
// agent to path. It returns the machine. Joining again is no error.
func Join(ctx context.Context, cfg Config, path string) (*api.Machine, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	inv, err := cfg.Hardware.Facts.Collect()
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Config{Endpoint: cfg.Endpoint, CAFingerprint: cfg.CAFingerprint, Token: cfg.Token})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	who, err := c.WhoAmI(ctx, client.WhoAmIRequest{MacAddrs: hardwareAddrs(inv), Fingerprint: fingerprint(inv.System), Env: cfg.Env})
	if err != nil {
		return nil, err
	}
	if who.Uuid == "" || who.Token == "" {
		return nil, errors.New("the server does not know this machine")
	}
	c = c.WithToken(who.Token)
	defer c.Close()
	if cfg.Token, err = c.GrantToken(ctx, "machines", who.Uuid, installedTTL); err != nil {
		return nil, fmt.Errorf("get a token for the agent: %w", err)
	}
	cfg.Machine = who.Uuid
	m, err := client.Get(ctx, c, api.Machines, who.Uuid)
	if err != nil {
		return nil, err
	}
	return m, cfg.write(path)
}

// write stores the configuration for this user alone: it holds a token.
func (c Config) write(path string) error {
	data, err := json.MarshalIndent(Config{Endpoint: c.Endpoint, CAFingerprint: c.CAFingerprint, Token: c.Token, Machine: c.Machine, Env: c.Env}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write agent configuration: %w", err)
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("write agent configuration: %w", err)
	}
	return os.Rename(path+".new", path)
}
