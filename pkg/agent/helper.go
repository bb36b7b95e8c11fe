//go:build linux

package agent

import (
	"os"
	"path/filepath"
)

// helperName is the shell library that lies beside each script, where DRP's
// content looks for it: ". ./helper".
const helperName = "helper"

// helper is that library: ways to end a task, and access to params through
// drpcli, which takes address and token from the environment.
const helper = `# Shell functions for tasks. Exit codes need the feature flag sane-exit-codes;
# the file below says so for tasks without it.
__end_task() {
    touch "$RS_TASK_DIR/.sane-exit-codes"
    exit "$1"
}
exit_stop() { __end_task 16; }
exit_shutdown() { __end_task 32; }
exit_reboot() { __end_task 64; }
exit_incomplete() { __end_task 128; }
exit_incomplete_stop() { __end_task 144; }
exit_incomplete_shutdown() { __end_task 160; }
exit_incomplete_reboot() { __end_task 192; }

# get_param NAME prints the value that holds for this machine.
get_param() { drpcli machines get "$RS_UUID" param "$1" --aggregate; }

# set_param NAME [VALUE] stores a value, from standard input without one.
set_param() { drpcli machines set "$RS_UUID" param "$1" to "${2:--}"; }

# addr_port ADDRESS PORT joins them as a URL wants it.
addr_port() {
    case "$1" in
    *:*) printf '[%s]:%s' "$1" "$2" ;;
    *) printf '%s:%s' "$1" "$2" ;;
    esac
}
`

// saneFile is made by the library: whatever the task's flags say, its exit
// codes are the modern ones.
const saneFile = ".sane-exit-codes"

func writeHelper(dir string) error {
	return os.WriteFile(filepath.Join(dir, helperName), []byte(helper), 0o600)
}

func saysSane(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, saneFile))
	return err == nil
}
