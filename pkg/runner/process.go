//go:build linux

package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"drpd/pkg/child"
	"drpd/pkg/resource"
	"drpd/pkg/workflow"
)

// envConfig tells a process where its configuration is; package agent reads it.
const envConfig = "DRPD_RUNNER_CONFIG"

// once runs one process to its end: nil if it was ended because there is no
// work or ctx is over.
func (s *Supervisor) once(ctx context.Context, key Key, wake chan struct{}) error {
	err := s.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		return workflow.Abandon(tx, s.cfg.Now(), key.ID, key.Context, "the runner of context "+key.Context+" ended while the task ran")
	})
	if err != nil {
		return fmt.Errorf("give up the job of an earlier runner: %w", err)
	}
	cell, err := s.cfg.Keeper.Open()
	if err != nil {
		return err
	}
	defer s.close(cell)
	if err := s.configure(cell, key); err != nil {
		return err
	}
	last := &child.Tail{}
	ended, err := child.Start(s.cfg.Keeper, cell, child.Program{Env: environment()}, nil, last)
	if err != nil {
		return fmt.Errorf("start the process: %w", err)
	}
	s.say(ctx, key, "")
	s.cfg.Log.Info("context runner started", "kind", key.Kind, "id", key.ID, "context", key.Context, "user", cell.User)
	if err = s.watch(ctx, key, wake, cell, ended); err != nil {
		err = fmt.Errorf("%w: %s", err, last)
	}
	return err
}

func (s *Supervisor) close(cell *child.Cell) {
	if err := s.cfg.Keeper.Close(cell); err != nil {
		s.cfg.Log.Warn("the cell of a context runner is left", "user", cell.User, "err", err)
	}
}

// watch waits for the end of the process and brings it about when there has
// been no work for a while.
func (s *Supervisor) watch(ctx context.Context, key Key, wake chan struct{}, cell *child.Cell, ended <-chan error) error {
	idle := time.NewTimer(s.cfg.Idle)
	defer idle.Stop()
	for {
		select {
		case err := <-ended:
			if err == nil {
				err = errors.New("exit status 0")
			}
			return err
		case <-ctx.Done():
			child.End(s.cfg.Keeper, cell, ended)
			return nil
		case <-idle.C:
			if !s.wanted(key) {
				child.End(s.cfg.Keeper, cell, ended)
				return nil
			}
			idle.Reset(s.cfg.Idle)
		case <-wake:
			if s.wanted(key) {
				idle.Reset(s.cfg.Idle)
			}
		}
	}
}

const configName = "config.json"

// configure writes what the process is told into its cell. Only the two see it;
// the process removes it.
func (s *Supervisor) configure(cell *child.Cell, key Key) error {
	cred, err := s.cfg.Credentials(key)
	if err != nil {
		return fmt.Errorf("get a token for the runner: %w", err)
	}
	data, err := json.Marshal(map[string]string{"Endpoint": cred.Endpoint, "CAFingerprint": cred.CAFingerprint, "Token": cred.Token,
		"Machine": key.ID, "Kind": key.Kind, "Context": key.Context, "StateDir": child.Home})
	if err != nil {
		return err
	}
	path := cell.Path(configName)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	return os.Chmod(path, 0o644) // of another user, who alone gets into the directory
}

func environment() []string {
	return []string{"PATH=" + child.Path, "HOME=" + child.Home, "TMPDIR=" + child.Home, "LANG=C.UTF-8", envConfig + "=" + child.Home + "/" + configName}
}
