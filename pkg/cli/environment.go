package cli

import (
	"context"

	"github.com/spf13/cobra"
)

// environment are the variables that drpcli reads. Flags come before them, and
// they before ~/.drpclirc, which may hold the same, and that before the site.
func environment() [][2]string {
	return [][2]string{
		{"RS_ENDPOINT", "server, such as https://drpd:8092"},
		{"RS_ENDPOINTS", "several servers, separated by spaces: the first that lets the caller in"},
		{"RS_KEY", "user:password"},
		{"RS_TOKEN", "token instead of a user"},
		{"RS_SITE", "site from the configuration"},
		{"RS_FINGERPRINT", "SHA-256 of the server's certificate, as SHA256:<hex>"},
		{"RS_URL_PROXY", "id of an endpoint that the server passes calls on to"},
		{"RS_LOCAL_PROXY", "socket of a drpcli proxy: calls go there"},
		{"RS_UUID", "machine, where a verb of machines lacks its <id>"},
		{"RS_CONTEXT", "context whose jobs processjobs takes"},
		{"RS_FORMAT", "output format, as --output"},
		{"RS_PRINT_FIELDS", "fields for tables, as --columns"},
		{"RS_NO_HEADER", "true: no heading above tables"},
		{"RS_NO_COLOR, NO_COLOR", "anything: no colors"},
		{"RS_TRUNCATE_LENGTH", "width at which the columns of --columns are cut"},
		{"RS_OBJECT_ERRORS_ARE_FATAL", "true: exit 1 if an object has errors"},
		{"RS_DOWNLOAD_PROXY", "HTTP proxy for downloads from elsewhere"},
		{"RS_CATALOG", "file or URL of a catalog, as --catalog"},
		{"XDG_CONFIG_HOME", "folder of drpcli/config.yaml: sites and certificates; default ~/.config"},
		{"XDG_CACHE_HOME", "folder of drpcli/tokens: tokens of logins; default ~/.cache"},
	}
}

func (s *session) environmentCmd() *cobra.Command {
	return s.verb("environment", "List the environment variables that drpcli reads.", func(context.Context, []string) error {
		for _, e := range environment() {
			if err := s.line("%-27s %s", e[0], e[1]); err != nil {
				return err
			}
		}
		return nil
	})
}
