//go:build linux

package plugin_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"drpd/pkg/keeper"
	"drpd/pkg/plugin"
)

// envFake says how the test binary shall misbehave as a plugin's program.
const envFake = "DRPD_TEST_PLUGIN"

// seen is this program where it is seen in a cell, too: /tmp is another one there.
var seen string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == keeper.StageCmd {
		fmt.Fprintln(os.Stderr, keeper.Stage(os.Args[2:]))
		os.Exit(1)
	}
	if how := os.Getenv(envFake); how != "" {
		fake(how, os.Args[1:])
		os.Exit(0)
	}
	os.Exit(withCopy(m))
}

func withCopy(m *testing.M) int {
	dir, err := os.MkdirTemp("/opt", "drpd-test-")
	if err != nil {
		return m.Run() // tests that need it fail by themselves
	}
	defer os.RemoveAll(dir)
	seen = filepath.Join(dir, "fake")
	if out, err := exec.Command("cp", os.Args[0], seen).CombinedOutput(); err != nil {
		panic(string(out))
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		panic(err)
	}
	return m.Run()
}

const fakeContent = "sections: {tasks: {%s-task: {}}}"

func fake(how string, args []string) {
	switch args[0] {
	case "define":
		define(how)
	case "unpack":
		_ = os.WriteFile(filepath.Join(args[1], "tool"), []byte("tool of "+how), 0o600)
		_ = os.Symlink("/etc/passwd", filepath.Join(args[1], "link"))
		if how == "linker" {
			_ = os.Link(filepath.Join(args[1], "tool"), filepath.Join(args[1], "hard"))
		}
	case "listen":
		listen(how, args[1], args[2])
	}
}

func define(how string) {
	version := 4
	switch how {
	case "garbage":
		fmt.Println("hello")
		return
	case "huge":
		for {
			if _, err := fmt.Print(strings.Repeat("x", 1<<16)); err != nil {
				os.Exit(1)
			}
		}
	case "stuck":
		select {}
	case "broken":
		fmt.Fprintln(os.Stderr, "no license")
		os.Exit(3)
	case "old":
		version = 3
	}
	name := how
	if how == "other" {
		name = "else"
	}
	out, _ := json.Marshal(map[string]any{"Name": name, "Version": "v1.0.0", "PluginVersion": version, "AutoStart": how == "auto", "HasPublish": true,
		"Content": fmt.Sprintf(fakeContent, name), "OptionalParams": []string{"volume"},
		"AvailableActions": []map[string]any{{"Model": "machines", "Command": "echo", "RequiredParams": []string{"tone"}}, {"Model": "machines", "Command": "fail"},
			{"Model": "machines", "Command": "die"}, {"Model": "machines", "Command": "flood"}, {"Model": "system", "Command": "heard"}, {"Command": "own"}, {"Command": "leave"}}})
	fmt.Println(string(out))
}

func listen(how, to, from string) {
	switch how {
	case "crash":
		fmt.Fprintln(os.Stderr, "boom")
		os.Exit(3)
	case "mute":
		select {}
	case "thief": // what is said to it shall go to a socket of the server's
		_ = os.Symlink(from, to)
		fmt.Println("READY!")
		select {}
	}
	server := http.Client{Transport: &http.Transport{Dial: func(string, string) (net.Conn, error) { return net.Dial("unix", from) }}}
	l, err := net.Listen("unix", to)
	if err != nil {
		panic(err)
	}
	reply := func(w http.ResponseWriter, code int, v any) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
	heard, params := make(chan string, 1000), map[string]any{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api-plugin/v4/config", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&params)
		if params["volume"] == "loud" {
			reply(w, 400, plugin.Error{Messages: []string{`{"Model":"plugins","Messages":["too loud"]}`}, Code: 400})
			return
		}
		reply(w, 200, plugin.Error{Code: 200})
	})
	mux.HandleFunc("POST /api-plugin/v4/stop", func(http.ResponseWriter, *http.Request) { os.Exit(0) })
	mux.HandleFunc("POST /api-plugin/v4/publish", func(w http.ResponseWriter, r *http.Request) {
		if how == "slow" {
			select {}
		}
		var e struct{ Type, Action, Key string }
		_ = json.NewDecoder(r.Body).Decode(&e)
		heard <- e.Type + "." + e.Action + "." + e.Key
		reply(w, 200, plugin.Error{Code: 200})
	})
	mux.HandleFunc("POST /api-plugin/v4/action", func(w http.ResponseWriter, r *http.Request) {
		var a struct {
			Command, Plugin string
			Params          map[string]any
		}
		_ = json.NewDecoder(r.Body).Decode(&a)
		switch a.Command {
		case "echo":
			reply(w, 200, []any{a.Plugin, a.Params, params["volume"]})
		case "fail":
			reply(w, 409, plugin.Error{Model: "bells", Key: "b", Type: "ring", Messages: []string{"stuck"}, Code: 409})
		case "die":
			os.Exit(7)
		case "flood":
			_, _ = io.Copy(w, io.LimitReader(zeros{}, 20<<20))
		case "heard":
			for name := range heard {
				if strings.HasPrefix(name, "machines.") {
					reply(w, 200, name)
					return
				}
			}
		case "own":
			tell := func(path, body string) string {
				r, err := server.Post("http://unix/api-server-plugin/v4/"+path, "application/json", strings.NewReader(body))
				if err != nil {
					return err.Error()
				}
				return r.Status
			}
			reply(w, 200, []string{tell("publish", `{"Type":"bells","Action":"rung","Key":"b"}`), tell("publish", `{"Type":"machines","Action":"delete","Key":"b"}`),
				tell("log", `{"Level":3,"Message":"hi"}`)})
		case "leave":
			_, _ = server.Post("http://unix/api-server-plugin/v4/leaving", "application/json", strings.NewReader(`{"Messages":["tired"]}`))
		}
	})
	fmt.Println("starting")
	fmt.Println("READY!")
	_ = http.Serve(l, mux)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
