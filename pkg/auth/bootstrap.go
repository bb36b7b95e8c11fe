package auth

import (
	"context"

	"drpd/pkg/api"
	"drpd/pkg/auth/claim"
	"drpd/pkg/auth/password"
	"drpd/pkg/resource"
)

// FirstUser is the user that Bootstrap creates if it is told no other name.
const FirstUser = "rocketskates"

// Defaults are the first user of a new server. The zero Defaults mean
// FirstUser with a random password.
type Defaults struct {
	Name, Password string
	// Keep is given a random password in the update that makes the user. Nil:
	// it is stored nowhere.
	Keep func(tx *resource.Tx, password string) error
}

// DRPDefaults is the well-known login of a fresh Digital Rebar Provision, for a
// server that stands in for one. Everybody knows it: change it.
func DRPDefaults() Defaults { return Defaults{Name: FirstUser, Password: "r0cketsk8ts"} }

// Bootstrap creates the superuser role and, if there is no user at all, the
// first one. The password is returned; only Keep may store it.
func Bootstrap(ctx context.Context, db *resource.DB, d Defaults) (secret string, created bool, err error) {
	if d.Name == "" {
		d.Name = FirstUser
	}
	random := d.Password == ""
	if random {
		d.Password = password.Random(16)
	}
	hash := ""
	if api.Users.Len(db.View()) == 0 { // a hash takes a tenth of a second
		if hash, err = password.Hash(d.Password, password.DefaultParams()); err != nil {
			return "", false, err
		}
	}
	err = db.Update(ctx, func(tx *resource.Tx) error {
		created = false
		if !api.Roles.Has(tx, Superuser) {
			if err := api.Roles.Create(tx, &api.Role{Name: Superuser, Claims: []api.Claim{claim.Everything()}}); err != nil {
				return err
			}
		}
		if api.Users.Len(tx) > 0 || hash == "" {
			return nil
		}
		created = true
		if random && d.Keep != nil {
			if err := d.Keep(tx, d.Password); err != nil {
				return err
			}
		}
		return api.Users.Create(tx, &api.User{Name: d.Name, PasswordHash: hash, Roles: []string{Superuser}})
	})
	if err != nil || !created {
		return "", false, err
	}
	return d.Password, true, nil
}
