package cli

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drpd/pkg/auth/password"
)

// userVerbs are the extras of users.
func (g *group) userVerbs() []*cobra.Command {
	set := g.cmd("password <id> [<password>]", "Set a password, from a prompt or standard input; on the command line others see it.", func(ctx context.Context, args []string) error {
		p, err := g.newPassword(args[1:], "New password of "+args[0]+": ")
		if err != nil {
			return err
		}
		return about(g.setPassword(ctx, args[0], p), "set the password of %s", args[0])
	})
	set.Example = "  drpcli users password ann\n  echo $PASSWORD | drpcli users password ann"
	return []*cobra.Command{set,
		g.verb("passwordhash [<password>]", "Print the hash of a password, for content packs.", func(_ context.Context, args []string) error {
			p, err := g.newPassword(args, "Password: ")
			if err != nil {
				return err
			}
			h, err := password.Hash(p, password.DefaultParams())
			if err != nil {
				return failf(exitUsage, "%v", err)
			}
			return g.line("%s", h)
		}),
		g.cmd("token <id> [ttl <ttl>] [roles <roles>] [scope <scope>] [action <action>] [specific <specific>]", "Print a token for a user.", g.userToken)}
}

// newPassword is the one given, else a line of standard input or an answer.
func (s *session) newPassword(args []string, prompt string) (string, error) {
	from := strings.Join(args, "")
	if s.inFD < 0 && from == "" {
		from = "-"
	}
	return s.secret(from, prompt)
}

func (g *group) userToken(ctx context.Context, args []string) error {
	q := url.Values{}
	for rest := args[1:]; len(rest) > 0; rest = rest[2:] {
		if len(rest) == 1 || !slices.Contains([]string{"ttl", "roles", "scope", "action", "specific"}, rest[0]) {
			return failf(exitUsage, "%q is none of ttl, roles, scope, action, specific with a value", rest[0])
		}
		q.Set(rest[0], rest[1])
	}
	if d, err := time.ParseDuration(q.Get("ttl")); err == nil {
		q.Set("ttl", strconv.Itoa(int(d.Seconds())))
	}
	return about(g.showPath(ctx, at("users", args[0], "token"), q), "token of %s", args[0])
}

func (s *session) setPassword(ctx context.Context, name, p string) error {
	if p == "" {
		return failf(exitUsage, "the password is empty")
	}
	var out doc
	if err := s.conn().call(ctx, http.MethodPut, at("users", name, "password"), nil, map[string]string{"Password": p}, &out); err != nil {
		return err
	}
	// The change revokes all tokens of the user, the one kept here included.
	if t, err := s.target(); err == nil && t.User == name {
		if path, err := s.tokenPath(t); err == nil && os.Remove(path) == nil {
			s.note("your token is no longer valid: log in again (drpcli login)")
		}
	}
	return nil
}
