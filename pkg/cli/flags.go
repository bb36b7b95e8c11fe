package cli

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (f *flags) declare(p *pflag.FlagSet, env map[string]string) {
	p.SortFlags = false
	p.StringVarP(&f.endpoint, "endpoint", "E", "", "server, such as https://drpd:8092 (RS_ENDPOINT; RS_ENDPOINTS: the first that answers)")
	p.StringVarP(&f.user, "username", "U", "", "user name (RS_KEY=user:password)")
	p.StringVarP(&f.password, "password", "P", "", "password; - reads a line from standard input (RS_KEY)")
	p.StringVarP(&f.token, "token", "T", "", "token instead of a user (RS_TOKEN)")
	p.StringVar(&f.site, "site", "", "site from the configuration (RS_SITE)")
	p.StringVarP(&f.via, "url-proxy", "u", env["RS_URL_PROXY"], "id of an endpoint that the server passes the call on to (RS_URL_PROXY)")
	p.StringVarP(&f.format, "output", "o", "", "table, wide, json, jsonl, yaml, text, name, go-template=, jsonpath= (RS_FORMAT); default: table, in a pipe json")
	p.StringVarP(&f.format, "format", "F", "", "the same as --output")
	p.StringVarP(&f.fields, "columns", "J", env["RS_PRINT_FIELDS"], "fields for table output, such as Name,Meta.color,Params.ipmi/address (RS_PRINT_FIELDS)")
	p.BoolVarP(&f.noHeader, "no-header", "H", isOn(env["RS_NO_HEADER"]), "no heading above tables (RS_NO_HEADER)")
	p.StringVar(&f.color, "color", "auto", "auto, always or never (NO_COLOR, RS_NO_COLOR)")
	p.BoolVarP(&f.force, "force", "f", false, "let the server relax its checks")
	p.StringVarP(&f.ref, "ref", "r", "", "the object (or param) as it must still be, or nothing is changed")
	p.BoolVar(&f.dryRun, "dry-run", false, "say what would change, and change nothing; --plan-out <file> does that and saves it for plan apply")
	p.StringVar(&f.planOut, "plan-out", "", "a dry run that writes its plan to this file; drpcli plan apply carries it out")
	p.BoolVarP(&f.quiet, "quiet", "q", false, "no progress")
	p.BoolVarP(&f.verbose, "verbose", "v", false, "print requests, without secrets")
	p.BoolVar(&f.silent, "silent", false, "ask nothing")
	p.StringVar(&f.yes, "yes", "", "confirm: the name of what shall be destroyed")
	p.BoolVar(&f.strict, "fail-if-unchanged", false, "exit 10 if there was nothing to change")
	p.BoolVarP(&f.exitEarly, "exit-early", "X", env["RS_OBJECT_ERRORS_ARE_FATAL"] == "true", "exit 1 if the object has errors (RS_OBJECT_ERRORS_ARE_FATAL)")
	p.DurationVar(&f.timeout, "timeout", 0, "give up waiting after this time; the work goes on")
	f.declareOld(p, env)
	if f.format = env["RS_FORMAT"]; f.format == "text" {
		f.format = "table"
	}
}

// declareOld are DRP's names for flags, and flags that few need: scripts keep
// working, help stays short.
func (f *flags) declareOld(p *pflag.FlagSet, env map[string]string) {
	width, _ := strconv.Atoi(env["RS_TRUNCATE_LENGTH"])
	ignored := ""
	p.StringVar(&f.fields, "print-fields", f.fields, "the same as --columns")
	p.BoolVarP(&f.verbose, "debug", "d", false, "the same as --verbose")
	p.BoolVarP(&f.noColor, "no-color", "N", false, "no colors")
	p.BoolVarP(&f.noToken, "no-token", "x", false, "do not use the token of a login")
	p.IntVarP(&f.truncate, "truncate-length", "j", width, "cut the columns of --columns at this length")
	p.StringVarP(&f.trace, "trace", "t", "", "level at which the server logs the requests")
	p.StringVarP(&f.traceToken, "trace-token", "Z", "", "mark that the server's log gives the requests")
	p.StringVarP(&f.downloadProxy, "download-proxy", "D", env["RS_DOWNLOAD_PROXY"], "proxy for downloads from elsewhere")
	p.StringVarP(&f.catalog, "catalog", "c", env["RS_CATALOG"], "file or URL of a catalog (RS_CATALOG)")
	p.StringVarP(&ignored, "colors", "C", "", "known for the sake of scripts")
	p.BoolVar(&f.noToken, "noToken", false, "the same as --no-token")
	p.BoolVar(&f.exitEarly, "exitEarly", f.exitEarly, "the same as --exit-early")
	p.StringVar(&f.traceToken, "traceToken", "", "the same as --trace-token")
	for _, name := range []string{"format", "print-fields", "debug", "no-color", "no-token", "truncate-length", "trace", "trace-token",
		"download-proxy", "catalog", "colors", "plan-out", "exit-early", "noToken", "exitEarly", "traceToken"} {
		_ = p.MarkHidden(name)
	}
}

func isOn(text string) bool {
	on, _ := strconv.ParseBool(text)
	return on
}

func (f *flags) check(c *cobra.Command) error {
	f.dryRun = f.dryRun || f.planOut != ""
	switch f.format {
	case "text":
		f.format = "table"
	case "yml":
		f.format = "yaml"
	case "", "table", "wide", "json", "yaml", "name", "jsonl":
	default:
		if !strings.HasPrefix(f.format, templatePrefix) && !strings.HasPrefix(f.format, pathPrefix) {
			return usage(c, "output format %q is not known; use table, wide, json, jsonl, yaml, text, name, go-template= or jsonpath=", f.format)
		}
	}
	switch f.color {
	case "auto", "always", "never":
		return nil
	}
	return usage(c, "--color is auto, always or never, not %q", f.color)
}

// traceHeader asks the server to log the requests of this run.
func (s *session) traceHeader() http.Header {
	h := http.Header{}
	if s.flags.trace != "" {
		h.Set("X-Log-Request", s.flags.trace)
		h.Set("X-Log-Token", s.flags.traceToken)
	}
	return h
}

// readRC adds the settings of ~/.drpclirc that the environment does not have.
func (s *session) readRC() {
	if s.env["HOME"] == "" {
		return
	}
	data, err := os.ReadFile(filepath.Join(s.env["HOME"], ".drpclirc"))
	if err != nil {
		return
	}
	for l := range strings.Lines(string(data)) {
		k, v, ok := strings.Cut(strings.TrimSpace(l), "=")
		if _, have := s.env[k]; ok && !have && strings.HasPrefix(k, "RS_") {
			s.env[k] = v
		}
	}
	if s.env["RS_KEY"] == "" && s.env["RS_USERNAME"] != "" && s.env["RS_PASSWORD"] != "" {
		s.env["RS_KEY"] = s.env["RS_USERNAME"] + ":" + s.env["RS_PASSWORD"]
	}
}
