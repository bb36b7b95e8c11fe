//go:build !linux

package agent

import (
	"errors"

	"github.com/spf13/cobra"
)

// Command says that the agent runs on Linux only.
func Command() *cobra.Command {
	return &cobra.Command{Use: "agent", Short: "Run tasks on this machine (Linux only)",
		RunE: func(*cobra.Command, []string) error { return errors.New("the agent runs on Linux only") }}
}

// ContextCommand says that context runners run on Linux only.
func ContextCommand() *cobra.Command {
	return &cobra.Command{Use: "context-runner", Hidden: true,
		RunE: func(*cobra.Command, []string) error { return errors.New("context runners run on Linux only") }}
}

// Init says nothing: only Linux has a discovery image.
func Init() {}
