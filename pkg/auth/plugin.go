package auth

import (
	"fmt"

	"github.com/google/uuid"

	"drpd/pkg/auth/token"
)

// PluginToken issues the token of a plugin's process, which may do everything:
// so DRP's plugins expect it. It is good until end is called, which whoever
// runs the process does when that has ended, and no longer than this server.
func (a *Auth) PluginToken(plugin string) (text string, end func(), err error) {
	id := uuid.NewString()
	a.alive.Store(id, true)
	end = func() { a.alive.Delete(id) }
	text, err = a.mint(Identity{}, token.Payload{Subject: "plugins/" + plugin, Kind: token.Plugin, Key: id}, MaxTTL)
	if err != nil {
		end()
	}
	return text, end, err
}

// ended says that the process which a token was made for has ended.
func (a *Auth) ended(p token.Payload) error {
	if p.Kind != token.Plugin {
		return nil
	}
	if _, ok := a.alive.Load(p.Key); !ok {
		return fmt.Errorf("%w: the process of %s has ended", token.ErrRevoked, p.Subject)
	}
	return nil
}
