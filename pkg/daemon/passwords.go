package daemon

import (
	"context"
	"errors"
	"fmt"

	"drpd/pkg/alert"
	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/datadir"
	"drpd/pkg/resource"
)

// passwordOwner names the first password to the master key.
const passwordOwner = "server/first-password"

// keepPassword keeps the first user's password, sealed, until it was shown.
func (d *Daemon) keepPassword(tx *resource.Tx, password string) error {
	return datadir.Servers.Modify(tx, datadir.Self, func(s *datadir.Server) error {
		s.FirstPassword = d.vault.Master().Seal(passwordOwner, []byte(password))
		return nil
	})
}

// Unshown is the first user's password as long as nobody has logged in with it
// or said that they have it, "" then.
func (d *Daemon) Unshown() (string, error) {
	s, err := datadir.Servers.Get(d.DB.View(), datadir.Self)
	if err != nil || s.FirstPassword == nil {
		return "", nil
	}
	p, err := d.vault.Master().Open(passwordOwner, s.FirstPassword)
	if err != nil {
		return "", fmt.Errorf("the first password cannot be opened (%w): set another: drpd passwd %s", err, auth.FirstUser)
	}
	return string(p), nil
}

// dropPassword forgets the first password.
func (d *Daemon) dropPassword(ctx context.Context) error {
	s, err := datadir.Servers.Get(d.DB.View(), datadir.Self)
	if err != nil || s.FirstPassword == nil {
		return nil
	}
	return d.DB.Update(ctx, func(tx *resource.Tx) error {
		return datadir.Servers.Modify(tx, datadir.Self, func(s *datadir.Server) error { s.FirstPassword = nil; return nil })
	})
}

// audited is given each record of audit.
func (d *Daemon) audited(r auth.Record) {
	d.trail.Add(r)
	if r.Action == "login" && r.Actor == auth.FirstUser {
		select {
		case d.loggedIn <- struct{}{}:
		default:
		}
	}
}

// forgetPassword waits for the first user's login.
func (d *Daemon) forgetPassword(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.loggedIn:
			if err := d.dropPassword(ctx); err != nil && ctx.Err() == nil {
				d.cfg.Log.Warn("the first password is still kept, sealed", "err", err)
			}
		}
	}
}

// auditFailed tells of an audit that cannot be written.
func (d *Daemon) auditFailed(err error) {
	d.cfg.Log.Error("audit", "err", err)
	if d.Core == nil {
		return
	}
	err = d.DB.Update(context.Background(), func(tx *resource.Tx) error {
		return alert.Raise(tx, tx.Now(), api.AlertError, "audit", err.Error())
	})
	if err != nil {
		d.cfg.Log.Error("no alert about the audit", "err", err)
	}
}

func (d *Daemon) adminFirstPassword(ctx context.Context, by string, args map[string]string) ([]string, error) {
	p, err := d.Unshown()
	if err != nil {
		return nil, err
	}
	if p == "" {
		return nil, fmt.Errorf("it was used or shown before, or was given: set another: drpd passwd %s", auth.FirstUser)
	}
	if args["forget"] == "true" {
		d.auth.Audit(ctx, auth.Record{Action: "first-password", Actor: by, Note: "noted, and forgotten here"})
		return nil, d.writing(func() error { return d.dropPassword(ctx) })
	}
	d.auth.Audit(ctx, auth.Record{Action: "first-password", Actor: by, Note: "shown"})
	return []string{p}, nil
}

func (d *Daemon) adminPasswd(ctx context.Context, by string, args map[string]string) ([]string, error) {
	user := args["user"]
	if args["password"] == "" {
		return nil, errors.New("no password is given")
	}
	err := d.writing(func() error {
		if err := d.auth.SetPassword(ctx, none, user, args["password"]); err != nil {
			return err
		}
		if user == auth.FirstUser {
			return d.dropPassword(ctx)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.auth.Audit(ctx, auth.Record{Action: "passwd", Actor: by, Path: "users/" + user, Note: "password set on the server; its tokens are revoked"})
	return []string{"the password of " + user + " is set; tokens that it had are revoked"}, nil
}

// writing lets a call at the server write although a restored server does not.
func (d *Daemon) writing(fn func() error) error {
	d.takingOver.Store(true)
	defer d.takingOver.Store(false)
	return fn()
}
