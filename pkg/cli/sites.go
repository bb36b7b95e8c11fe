package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"drpd/pkg/atomicfile"
)

// sites is the configuration file: named servers, and the certificates that
// were accepted at the first login.
type sites struct {
	Current string            `json:"current,omitempty"`
	Sites   map[string]site   `json:"sites,omitempty"`
	Pins    map[string]string `json:"pins,omitempty"`  // endpoint -> fingerprint
	Users   map[string]string `json:"users,omitempty"` // endpoint -> who logged in last
}

type site struct {
	Endpoint   string `json:"endpoint"`
	User       string `json:"user,omitempty"`
	Production bool   `json:"production,omitempty"`
}

// target is the server that this run speaks to.
type target struct{ Endpoint, User, Password, Token, Fingerprint string }

// dir is one of the user's directories, by the XDG rules.
func (s *session) dir(variable, below string) (string, error) {
	if d := s.env[variable]; d != "" {
		return filepath.Join(d, "drpcli"), nil
	}
	if h := s.env["HOME"]; h != "" {
		return filepath.Join(h, below, "drpcli"), nil
	}
	return "", failf(exitOther, "neither %s nor HOME is set: there is no place for settings", variable)
}

func (s *session) loadSites() (sites, error) {
	c := sites{Sites: map[string]site{}, Pins: map[string]string{}, Users: map[string]string{}}
	d, err := s.dir("XDG_CONFIG_HOME", ".config")
	if err != nil {
		return c, nil //nolint:nilerr // without a home there are no settings
	}
	path := filepath.Join(d, "config.yaml")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("read settings: %w", err)
	}
	if err := yaml.UnmarshalStrict(data, &c); err != nil {
		return c, fmt.Errorf("read settings %s: %w", path, err)
	}
	return c, nil
}

func (s *session) saveSites(c sites) error {
	d, err := s.dir("XDG_CONFIG_HOME", ".config")
	if err != nil {
		return err
	}
	data, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode settings: %w", err)
	}
	return savePrivate(filepath.Join(d, "config.yaml"), data)
}

func savePrivate(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	return atomicfile.Write(path, data, 0o600)
}

// site is the one chosen by --site, RS_SITE or "sites use", if any.
func (s *session) site() (string, site, error) {
	c, err := s.loadSites()
	if err != nil {
		return "", site{}, err
	}
	name := cmp.Or(s.flags.site, s.env["RS_SITE"])
	if name == "" && s.flags.endpoint == "" && s.env["RS_ENDPOINT"] == "" {
		name = c.Current
	}
	if name == "" {
		return "", site{}, nil
	}
	found, ok := c.Sites[name]
	if !ok {
		return "", site{}, &failure{code: exitUsage, what: fmt.Sprintf("there is no site %q", name), fix: "drpcli sites list"}
	}
	return name, found, nil
}

// target settles where to and as whom: flags before RS_ variables before the
// site before the default.
func (s *session) target() (target, error) {
	_, st, err := s.site()
	if err != nil {
		return target{}, err
	}
	c, err := s.loadSites()
	if err != nil {
		return target{}, err
	}
	fromFlag := ""
	if s.flags.site != "" {
		fromFlag = st.Endpoint // a site named on the command line beats the environment
	}
	t := target{Endpoint: cmp.Or(s.flags.endpoint, fromFlag, s.env["RS_ENDPOINT"], s.alive, st.Endpoint, defaultEndpoint)}
	t.Endpoint = strings.TrimRight(t.Endpoint, "/")
	user, password, _ := strings.Cut(s.env["RS_KEY"], ":")
	t.User = cmp.Or(s.flags.user, user, st.User, c.Users[t.Endpoint])
	if s.flags.user == "" || s.flags.user == user {
		t.Password = password
	}
	t.Password = cmp.Or(s.flags.password, t.Password)
	t.Token = s.flags.token
	if t.Token == "" && s.flags.user == "" && s.flags.password == "" {
		t.Token = s.env["RS_TOKEN"]
	}
	t.Fingerprint = cmp.Or(s.env["RS_FINGERPRINT"], c.Pins[t.Endpoint])
	return t, nil
}

// credentials settles who calls: the token or password given, else the token of
// the last login.
func (s *session) credentials(t target) (target, error) {
	switch {
	case t.Token != "":
		return t, nil
	case t.Password != "" && t.User == "":
		return t, &failure{code: exitUsage, what: "a password without a user", fix: "give the user with -U"}
	case t.Password != "":
		var err error
		t.Password, err = s.secret(t.Password, "")
		return t, err
	}
	if t.Token = s.savedToken(t); t.Token != "" && !s.flags.noToken {
		return t, nil
	}
	return t, &failure{code: exitDenied, what: "not logged in at " + t.Endpoint, fix: "drpcli login -E " + t.Endpoint + ", or set RS_KEY=user:password or RS_TOKEN"}
}

// tokenPath is where the token of one user at one server is kept.
func (s *session) tokenPath(t target) (string, error) {
	d, err := s.dir("XDG_CACHE_HOME", ".cache")
	sum := sha256.Sum256([]byte(t.Endpoint + "\x00" + t.User))
	return filepath.Join(d, "tokens", hex.EncodeToString(sum[:16])), err
}

func (s *session) savedToken(t target) string {
	path, err := s.tokenPath(t)
	if err != nil || t.User == "" {
		return ""
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

func (s *session) sitesCmd() *cobra.Command {
	var production bool
	add := s.verb("add <name>", "Name a server, given with -E.", func(_ context.Context, args []string) error {
		if s.flags.endpoint == "" {
			return failf(exitUsage, "the endpoint is missing: give it with -E")
		}
		return s.editSites(func(c *sites) error {
			c.Sites[args[0]] = site{Endpoint: strings.TrimRight(s.flags.endpoint, "/"), User: s.flags.user, Production: production}
			return nil
		})
	})
	add.Flags().BoolVar(&production, "production", false, "destructive verbs must name this site when they ask nothing")
	add.Example = "  drpcli sites add lab -E https://10.0.0.1:8092 -U admin"
	known := func(use, short string, fn func(ctx context.Context, c *sites, name string) error) *cobra.Command {
		v := s.verb(use, short, func(ctx context.Context, args []string) error {
			return s.editSites(func(c *sites) error {
				if _, ok := c.Sites[args[0]]; !ok {
					return &failure{code: exitNotFound, what: fmt.Sprintf("there is no site %q", args[0]), fix: "drpcli sites list"}
				}
				return fn(ctx, c, args[0])
			})
		})
		v.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			c, _ := s.loadSites()
			return sortedKeys(c.Sites), cobra.ShellCompDirectiveNoFileComp
		}
		return v
	}
	return s.parent("sites", "Name servers and choose between them.",
		"  drpcli sites add lab -E https://10.0.0.1:8092 -U admin\n  drpcli sites use lab\n  drpcli sites list",
		s.verb("list", "List the sites.", func(context.Context, []string) error { return s.listSites() }), add,
		known("use <name>", "Make a site the default.", func(_ context.Context, c *sites, name string) error {
			c.Current = name
			return nil
		}),
		known("remove <name>", "Forget a site.", func(_ context.Context, c *sites, name string) error {
			delete(c.Sites, name)
			return nil
		}),
		known("test <name>", "Ask the server of a site for its version.", func(ctx context.Context, _ *sites, name string) error {
			s.flags.site = name
			return s.showPath(ctx, "/info", nil)
		}))
}

func (s *session) editSites(fn func(c *sites) error) error {
	c, err := s.loadSites()
	if err != nil {
		return err
	}
	if err := fn(&c); err != nil {
		return err
	}
	return s.saveSites(c)
}

func (s *session) listSites() error {
	c, err := s.loadSites()
	if err != nil {
		return err
	}
	rows := []any{}
	for _, name := range sortedKeys(c.Sites) {
		st := c.Sites[name]
		rows = append(rows, map[string]any{"Name": name, "Endpoint": st.Endpoint, "User": st.User, "Production": st.Production, "Current": name == c.Current})
	}
	return s.print("sites", rows)
}
