package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const kindCall = "call what trusts the server"

// outcalls make the server call itself, by callbacks that the first user wrote.
func outcalls() []attack {
	var out []attack
	for name, host := range map[string]string{
		"loopback": "127.0.0.1", "another loopback": "127.9.9.9", "mapped": "[::ffff:127.0.0.1]", "mapped, in hex": "[::ffff:7f00:1]", "IPv6 loopback": "[::1]", "a name": "localhost", "a name in capitals": "LOCALHOST",
		"unspecified": "0.0.0.0", "unspecified IPv6": "[::]", "metadata": metadata, "metadata, mapped": "[::ffff:" + metadata + "]", "its own address": serverAddr, "its own, mapped": "[::ffff:" + serverAddr + "]",
	} {
		out = append(out, attack{kindCall, "a callback to " + name, "special addresses", func(ctx context.Context, e *env) (string, error) {
			return e.called(ctx, func(port int) string { return fmt.Sprintf("http://%s:%d/", host, port) })
		}})
	}
	for name, to := range map[string]string{"loopback": "127.0.0.1", "metadata": metadata, "its own address": serverAddr} {
		for _, code := range []int{301, 302, 307, 308} {
			out = append(out, attack{kindCall, fmt.Sprintf("a redirect (%d) to %s", code, name), "redirects", func(ctx context.Context, e *env) (string, error) {
				var failed error
				got, err := e.called(ctx, func(port int) string {
					ln, err := listen(ctx, e.evil().namespace, e.evil().static.String()+":0")
					if err != nil {
						failed = err
						return ""
					}
					go func() { // ends with its listener, at the end of the attempt
						_ = (&http.Server{ReadHeaderTimeout: time.Second, Handler: http.RedirectHandler(fmt.Sprintf("http://%s:%d/", to, port), code)}).Serve(ln)
					}()
					context.AfterFunc(ctx, func() { ln.Close() })
					return "http://" + ln.Addr().String() + "/"
				})
				return got, errors.Join(failed, err)
			}})
		}
	}
	return out
}

// called makes a callback to a URL and counts who connects to a port on every
// address of the server.
func (e *env) called(ctx context.Context, url func(port int) string) (string, error) {
	ln, err := listen(ctx, e.net.server(), "[::]:0") // IPv4 too
	if err != nil {
		return "", err
	}
	defer ln.Close()
	var calls atomic.Int32
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			c.Close()
		}
	}()
	name := "call-" + randomText()
	if _, err := e.admin.must(ctx, "POST", "stages", map[string]any{"Name": name, "Tasks": []string{"callback"},
		"Params": map[string]any{"callback/action": "evil", "callback/callbacks": map[string]any{"evil": map[string]any{"Url": url(ln.Addr().(*net.TCPAddr).Port), "NoBody": true}}}}); err != nil {
		return "", err
	}
	m, err := e.machine(ctx, nil)
	if err != nil {
		return "", err
	}
	if err := e.patch(ctx, "machines/"+m.id, map[string]any{"Stage": name, "Runnable": true}); err != nil {
		return "", err
	}
	over, err := until(ctx, time.Minute, func() (bool, error) {
		if calls.Load() > 0 {
			return true, nil
		}
		text, err := e.admin.must(ctx, "GET", "jobs?Machine="+m.id, nil)
		return strings.Contains(text, `"State":"failed"`) || strings.Contains(text, `"State":"finished"`), err
	})
	switch {
	case err != nil:
		return "", err
	case calls.Load() > 0:
		return fmt.Sprintf("%d connections", calls.Load()), nil
	case !over:
		return "", fmt.Errorf("the callback of %s has no outcome", m.name)
	}
	return "", nil
}
