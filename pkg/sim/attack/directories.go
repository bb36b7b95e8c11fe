package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/klauspost/compress/zstd"
)

const (
	kindDirectory = "a directory for another"
	kindBackup    = "a backup for a server"
)

// directories start drpd on data directories that are not whole: it must not
// serve, and nothing may be changed.
func directories() []attack {
	var out []attack
	add := func(guard, name string, harm func(ctx context.Context, dir, other string) error) {
		out = append(out, attack{kindDirectory, name, guard, func(ctx context.Context, e *env) (string, error) { return e.startHarmed(ctx, harm) }})
	}
	for _, part := range []string{"drpd.db", "master.key", "token.key", "pki", "blobs"} {
		add("missing parts", part+" is missing", func(_ context.Context, dir, _ string) error { return os.RemoveAll(filepath.Join(dir, part)) })
		add("missing parts", part+" is empty", func(_ context.Context, dir, _ string) error { return empty(filepath.Join(dir, part)) })
		add("foreign parts", part+" is another server's", func(ctx context.Context, dir, other string) error {
			return swap(ctx, dir, other, part)
		})
	}
	add("missing parts", "database and keys are missing", func(_ context.Context, dir, _ string) error {
		for _, part := range []string{"drpd.db", "master.key", "token.key"} {
			if err := os.Remove(filepath.Join(dir, part)); err != nil {
				return err
			}
		}
		return nil
	})
	add("not empty", "a folder of somebody's files", func(_ context.Context, dir, _ string) error {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(dir, "home"), 0o700); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "home", "thesis"), []byte("years of work"), 0o600)
	})
	add("older database", "an older copy of the database", func(ctx context.Context, dir, _ string) error {
		return swap(ctx, dir, filepath.Join(dir, "older"), "drpd.db")
	})
	for how, put := range map[string]func(ctx context.Context, dir, other string) error{
		"another server's file under its log": func(ctx context.Context, dir, other string) error {
			return command(ctx, "cp", filepath.Join(other, "drpd.db"), filepath.Join(dir, "drpd.db"))
		},
		"an older file under its log": func(ctx context.Context, dir, _ string) error {
			return command(ctx, "cp", filepath.Join(dir, "older", "drpd.db"), filepath.Join(dir, "drpd.db"))
		},
	} {
		out = append(out, attack{kindDirectory, how, "log of another", func(ctx context.Context, e *env) (string, error) {
			return e.startHarmed(ctx, func(ctx context.Context, dir, other string) error {
				if err := e.killed(ctx, dir); err != nil {
					return err
				}
				return put(ctx, dir, other)
			})
		}})
	}
	return append(out, backups()...)
}

// killed serves a directory, has much written to it, and kills the server: what
// was written is in the log.
func (e *env) killed(ctx context.Context, dir string) error {
	p, err := e.startAt(dir)
	if err != nil {
		return err
	}
	defer p.stop()
	if up, err := p.serves(ctx); err != nil || !up {
		return fmt.Errorf("drpd did not serve %s: %v: %s", dir, err, tail(p.out.String()))
	}
	a := &actor{e: e, http: through(e.net.server(), noAddr), user: firstUser, password: "another long one 2"}
	for n := range 40 {
		code, text, err := a.raw(ctx, "POST", "https://127.0.0.1:18092/api/v3/profiles", fmt.Sprintf(`{"Name":"n%d","Description":"%s"}`, n, strings.Repeat("x", 2000)))
		if err != nil || code >= 300 {
			return fmt.Errorf("a write: %d %.100s %w", code, text, err)
		}
	}
	for _, child := range childrenOf(p.cmd.Process.Pid) {
		pid, err := strconv.Atoi(child)
		if err != nil {
			return err
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return err
		}
	}
	return nil
}

// swap puts a part of another directory in the place of one's own; of a database
// with its log.
func swap(ctx context.Context, dir, other, part string) error {
	for _, name := range []string{part, part + "-wal", part + "-shm"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(other, name)); err != nil {
			continue // of the parts only the database has more than one file
		}
		if err := command(ctx, "cp", "-a", filepath.Join(other, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func empty(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return os.Truncate(path, 0)
	}
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return os.Mkdir(path, 0o700)
}

// stored makes a whole data directory once, and another, and keeps both.
func (e *env) stored(ctx context.Context) (one, other string, err error) {
	one, other = filepath.Join(e.dir, "one"), filepath.Join(e.dir, "other")
	if _, err := os.Stat(other + ".whole"); err == nil {
		return one, other, nil
	}
	for _, dir := range []string{one, other} {
		for i := range 2 { // the second start has written something
			p, err := e.startAt(dir)
			if err != nil {
				return "", "", err
			}
			up, err := p.serves(ctx)
			p.stop()
			if err != nil || !up {
				return "", "", fmt.Errorf("drpd did not serve %s: %v: %s", dir, err, tail(p.out.String()))
			}
			if i == 0 {
				old := filepath.Join(dir, "older")
				if err := os.Mkdir(old, 0o700); err != nil {
					return "", "", err
				}
				if err := swap(ctx, old, dir, "drpd.db"); err != nil {
					return "", "", err
				}
				if _, err := passwd(ctx, e.program, dir); err != nil {
					return "", "", err
				}
			}
		}
	}
	return one, other, os.WriteFile(other+".whole", nil, 0o600)
}

// passwd writes into the database of a server that does not run.
func passwd(ctx context.Context, program, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, program, "passwd", "--data-dir", dir)
	cmd.Stdin = strings.NewReader("another long one 2\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("drpd passwd: %w: %.300s", err, out)
	}
	return string(out), nil
}

func (e *env) startAt(dir string) (*process, error) {
	return start(e.net.server(), e.program, "--data-dir", dir, "--api", "127.0.0.1:18092", "--files", "127.0.0.1:18091", "--tftp", "off", "--binl-port", "-1")
}

// startHarmed starts drpd on a copy that was harmed.
func (e *env) startHarmed(ctx context.Context, harm func(ctx context.Context, dir, other string) error) (string, error) {
	one, other, err := e.stored(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(e.dir, "harmed")
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := command(ctx, "cp", "-a", one, dir); err != nil {
		return "", err
	}
	if err := harm(ctx, dir, other); err != nil {
		return "", err
	}
	before, err := sums(dir)
	if err != nil {
		return "", err
	}
	p, err := e.startAt(dir)
	if err != nil {
		return "", err
	}
	up, err := p.serves(ctx)
	p.stop()
	if err != nil {
		return "", err
	}
	if up {
		return "it serves", nil
	}
	after, err := sums(dir)
	if err != nil {
		return "", err
	}
	for name, sum := range before {
		if after[name] != sum {
			return name + " was changed: " + tail(p.out.String()), nil
		}
	}
	return "", nil
}

// sums are those of all files but locks and what SQLite keeps for readers.
func sums(dir string) (map[string][32]byte, error) {
	out := map[string][32]byte{}
	return out, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, ".lock") || strings.HasSuffix(path, "-shm") {
			return err
		}
		data, err := os.ReadFile(path)
		out[path] = sha256.Sum256(data)
		return err
	})
}

// backups look for keys in a backup, and let a restored server act.
func backups() []attack {
	out := []attack{{kindBackup, "keys in it", "seal of backups", func(ctx context.Context, e *env) (string, error) {
		file, err := e.backup(ctx)
		if err != nil {
			return "", err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		z, err := zstd.NewReader(nil)
		if err != nil {
			return "", err
		}
		defer z.Close()
		plain, err := z.DecodeAll(data, nil)
		if err != nil {
			return "", err
		}
		one, _, err := e.stored(ctx)
		if err != nil {
			return "", err
		}
		for _, name := range []string{"master.key", "token.key", "pki/ca.key"} {
			key, err := os.ReadFile(filepath.Join(one, name))
			if err != nil {
				return "", err
			}
			if bytes.Contains(plain, bytes.TrimSpace(key)) {
				return name + " is in it", nil
			}
		}
		return "", nil
	}}}
	for how, r := range map[string]request{
		"an object made":  {"POST", "profiles", `{"Name":"evil"}`},
		"an object gone":  {"DELETE", "roles/readonly", ""},
		"a preference":    {"POST", "prefs", `{"defaultStage":"local"}`},
		"power":           {"POST", "machines/Name:x/actions/poweroff", `{}`},
		"a machine's job": {"POST", "jobs", `{"Machine":"11111111-2222-4333-8444-555555555555"}`},
	} {
		out = append(out, attack{kindBackup, "a restored server takes a write: " + how, "restored server", func(ctx context.Context, e *env) (string, error) {
			return e.writeRestored(ctx, r)
		}})
	}
	return out
}

const passphrase = "DRPD_BACKUP_PASSPHRASE=a long passphrase 3"

func (e *env) backup(ctx context.Context) (string, error) {
	one, _, err := e.stored(ctx)
	if err != nil {
		return "", err
	}
	file := filepath.Join(e.dir, "backup")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	_, err = local(ctx, e.program, []string{passphrase}, "backup", file, "--data-dir", one)
	return file, err
}

func (e *env) writeRestored(ctx context.Context, r request) (string, error) {
	file, err := e.backup(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(e.dir, "restored")
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if _, err := local(ctx, e.program, []string{passphrase}, "restore", file, "--data-dir", dir); err != nil {
		return "", err
	}
	p, err := e.startAt(dir)
	if err != nil {
		return "", err
	}
	defer p.stop()
	if up, err := p.serves(ctx); err != nil || !up {
		return "", fmt.Errorf("the restored server does not serve: %v: %s", err, tail(p.out.String()))
	}
	a := &actor{e: e, http: through(e.net.server(), noAddr), user: firstUser, password: "another long one 2"}
	code, text, err := a.raw(ctx, r.method, "https://127.0.0.1:18092/api/v3/"+r.path, r.body)
	if err == nil && code != 503 {
		return fmt.Sprintf("%d %.100s", code, text), nil
	}
	return "", err
}
