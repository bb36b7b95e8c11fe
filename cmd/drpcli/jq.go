package main

import (
	"os"
	"path/filepath"
	"slices"

	jq "github.com/itchyny/gojq/cli"
	"github.com/spf13/cobra"
)

// jqNames are the names under which this program is jq, which scripts of DRP's
// content expect to find beside drpcli.
var jqNames = []string{"jq", "drpjq", "gojq"}

// isJQ says whether the program was called as jq, and makes its arguments
// those of jq.
func isJQ(args []string) ([]string, bool) {
	switch {
	case len(args) > 0 && slices.Contains(jqNames, filepath.Base(args[0])):
		return args, true
	case len(args) > 1 && args[1] == "jq":
		return args[1:], true
	}
	return args, false
}

// jqCommand lists jq among the commands; main runs it before they are built.
func jqCommand() *cobra.Command {
	return &cobra.Command{Use: "jq <filter> [file...]", Short: "Filter JSON, as jq does (also under the names jq and drpjq).",
		Example:            "  drpcli machines list | drpcli jq -r '.[].Name'",
		DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			os.Exit(jq.Run())
			return nil
		}}
}
