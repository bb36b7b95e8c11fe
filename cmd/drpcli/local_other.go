//go:build !linux

package main

import (
	"github.com/spf13/cobra"

	"drpd/pkg/cli"
)

// local has nothing to offer: only Linux has an agent.
func local(cli.Shared) map[string][]*cobra.Command { return nil }
