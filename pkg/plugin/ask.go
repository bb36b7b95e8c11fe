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
func (s *Supervisor) ask(ctx context.Context, provider, program string, keep func(dir *os.Root, user int) error, args ...string) ([]byte, error) {
	x, err := s.scratch(provider, program, provider)
	if err != nil {
		return nil, err
	}
	defer x.close()
	run := s.process(x, provider, args...)
	if keep != nil {
		if err := errors.Join(os.Mkdir(x.cell.Path(files), 0o700), os.Chmod(x.cell.Path(files), 0o777)); err != nil {
			return nil, err
		}
		run.Args, run.Share = append(run.Args, filepath.Join(child.Home, files)), files
	}
	out, last := &bounded{left: maxSays}, &child.Tail{}
	ended, err := child.Start(s.cfg.Keeper, x.cell, run, out, last)
	if err != nil {
		return nil, fmt.Errorf("start provider %s: %w", provider, err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Define)
	defer cancel()
	select {
	case err = <-ended:
	case <-ctx.Done():
		child.End(s.cfg.Keeper, x.cell, ended)
		err = fmt.Errorf("it did not end within %s", s.cfg.Define)
	}
	switch {
	case out.over:
		return nil, fmt.Errorf("provider %s: %s printed more than %d bytes", provider, args[0], maxSays)
	case err != nil:
		return nil, fmt.Errorf("provider %s: %s failed: %w: %s", provider, args[0], err, last)
	case keep != nil:
		err = x.look(keep)
	}
	return out.data, err
}

// files is the folder of a cell into which a program unpacks.
const files = "files"

// look reads the folder that a program has filled, which may be a link to
// anywhere by now.
func (x *scratch) look(keep func(dir *os.Root, user int) error) error {
	home, err := os.OpenRoot(x.cell.Path(""))
	if err != nil {
		return err
	}
	defer home.Close()
	dir, err := home.OpenRoot(files)
	if err != nil {
		return err
	}
	defer dir.Close()
	return keep(dir, x.cell.User)
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
