//go:build linux

package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"drpd/pkg/child"
)

// maxSays bounds what define prints, so that it fits into a record.
const maxSays = 12 << 20

// ask runs a program to its end and returns what it printed; into is where it
// may leave files. ctx and Config.Define bound it.
func (s *Supervisor) ask(ctx context.Context, provider, program string, keep func(dir string) error, args ...string) ([]byte, error) {
	x, err := s.scratch(provider, program, provider)
	if err != nil {
		return nil, err
	}
	defer x.close()
	if keep != nil {
		into := filepath.Join(x.dir, "files")
		if err := errors.Join(os.Mkdir(into, 0o700), child.Own(s.cfg.User, into)); err != nil {
			return nil, err
		}
		args = append(args, into)
	}
	out, last := &bounded{left: maxSays}, &child.Tail{}
	cmd := s.command(x, provider, args...)
	cmd.Stdout, cmd.Stderr = out, last
	ended, err := child.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("start provider %s: %w", provider, err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Define)
	defer cancel()
	select {
	case err = <-ended:
	case <-ctx.Done():
		child.End(cmd.Process, ended)
		err = fmt.Errorf("it did not end within %s", s.cfg.Define)
	}
	child.Reap(cmd.Process.Pid) // nobody changes its files any more
	switch {
	case out.over:
		return nil, fmt.Errorf("provider %s: %s printed more than %d bytes", provider, args[0], maxSays)
	case err != nil:
		return nil, fmt.Errorf("provider %s: %s failed: %w: %s", provider, args[0], err, last)
	case keep != nil:
		err = keep(filepath.Join(x.dir, "files"))
	}
	return out.data, err
}

// bounded keeps so many bytes; one more ends the writer. The buffer is no
// embedded one, which would take everything by its ReadFrom.
type bounded struct {
	data []byte
	left int
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		b.over = true
		return 0, io.ErrShortWrite
	}
	b.data = append(b.data, p...)
	return len(p), nil
}
