package daemon

import (
	"context"
	"errors"
)

func (d *Daemon) adminRotate(context.Context, string, map[string]string) ([]string, error) {
	return nil, errors.New("not yet")
}
