package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drpd/pkg/client"
)

func (s *session) loginCmd() *cobra.Command {
	l := &login{session: s}
	c := s.verb("login", "Check a server's certificate once, and keep a token for later commands.", func(ctx context.Context, _ []string) error { return l.run(ctx) })
	c.Example = "  drpcli login -E https://drpd:8092 -U admin\n  echo $PASSWORD | drpcli login -U admin -P - --accept\n  drpcli login --renew"
	c.Flags().BoolVar(&l.accept, "accept", false, "accept the certificate without asking")
	c.Flags().BoolVar(&l.renew, "renew", false, "replace the known certificate")
	c.Flags().DurationVar(&l.ttl, "ttl", 12*time.Hour, "how long the token is good")
	return c
}

type login struct {
	*session
	accept, renew bool
	ttl           time.Duration
}

func (l *login) run(ctx context.Context) error {
	t, err := l.target()
	if err != nil {
		return err
	}
	if t.User == "" {
		name, asked, err := l.ask("User: ")
		if err != nil {
			return err
		}
		if !asked || name == "" {
			return &failure{code: exitUsage, what: "the user is missing", fix: "drpcli login -U <name>"}
		}
		t.User = name
	}
	if err := l.pin(ctx, &t); err != nil {
		return err
	}
	if t.Password, err = l.secret(t.Password, fmt.Sprintf("Password of %s at %s: ", t.User, t.Endpoint)); err != nil {
		return err
	}
	token, err := l.grant(ctx, t)
	if err != nil {
		return about(err, "log in as %s at %s", t.User, t.Endpoint)
	}
	if err := l.keep(t, token); err != nil {
		return err
	}
	l.note("logged in at %s as %s for %s", t.Endpoint, t.User, l.ttl)
	return nil
}

// pin makes sure that the certificate is trusted: by the system, from an
// earlier login, or now.
func (l *login) pin(ctx context.Context, t *target) error {
	if t.Fingerprint != "" && !l.renew {
		l.follow(ctx, t)
		return nil
	}
	print, trusted, err := client.Peer(ctx, t.Endpoint)
	if err != nil {
		return (&conn{endpoint: t.Endpoint}).worded(ctx, err)
	}
	if trusted {
		t.Fingerprint = ""
		return nil
	}
	print = pinPrefix + print
	l.note("certificate authority of %s: %s", t.Endpoint, print)
	if !l.accept {
		answer, asked, err := l.ask("Is that the sha256 that drpd prints when it starts? yes/no: ")
		if err != nil {
			return err
		}
		if !asked || !strings.EqualFold(answer, "yes") {
			return &failure{code: exitUnreachable, what: "the certificate of " + t.Endpoint + " was not accepted",
				cause: "its fingerprint is " + print, fix: "drpcli login -E " + t.Endpoint + " --accept"}
		}
	}
	t.Fingerprint = print
	return nil
}

// follow replaces what is known by what the server is known by today: an earlier
// version kept the certificate itself, and an authority may have been followed by
// another. Only a connection that what is known vouches for says so.
func (l *login) follow(ctx context.Context, t *target) {
	if l.env["RS_FINGERPRINT"] != "" {
		return
	}
	c := l.dial(*t)
	if c.err != nil {
		return
	}
	if print, err := c.api.KnownBy(ctx); err == nil && print != "" {
		t.Fingerprint = pinPrefix + print
	}
}

// grant gets a token for the password.
func (l *login) grant(ctx context.Context, t target) (string, error) {
	t.Token = "" // of an earlier login
	c := l.dial(t)
	if c.err != nil {
		return "", c.err
	}
	token, err := c.api.GrantToken(ctx, "users", t.User, strconv.Itoa(int(l.ttl.Seconds())))
	if err != nil {
		return "", c.worded(ctx, err)
	}
	if token == "" {
		return "", failf(exitOther, "the server sent no token")
	}
	return token, nil
}

func (l *login) keep(t target, token string) error {
	path, err := l.tokenPath(t)
	if err != nil {
		return err
	}
	if err := savePrivate(path, []byte(token+"\n")); err != nil {
		return err
	}
	return l.editSites(func(c *sites) error {
		if c.Pins == nil {
			c.Pins = map[string]string{}
		}
		if c.Users == nil {
			c.Users = map[string]string{}
		}
		c.Users[t.Endpoint] = t.User
		if t.Fingerprint != "" && l.env["RS_FINGERPRINT"] == "" {
			c.Pins[t.Endpoint] = t.Fingerprint
		}
		return nil
	})
}
