package api

import (
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"drpd/pkg/resource"
)

// AlertLevel says how bad it is.
type AlertLevel string

// The levels, mildest first.
const (
	AlertInfo     AlertLevel = "INFO"
	AlertWarn     AlertLevel = "WARN"
	AlertError    AlertLevel = "ERROR"
	AlertCritical AlertLevel = "CRITICAL"
)

// Alert is something that a person should know of. The same thing again counts
// up, and is no longer acknowledged.
type Alert struct {
	resource.Common
	Documented
	Uuid            string
	Name            string // what it is about; alerts of one name are the same thing
	Level           AlertLevel
	Contents        string
	Time            time.Time // last seen
	Count           int       // times seen, 1 at first
	Principal       string    // who raised it
	Acknowledged    bool
	AcknowledgeUser string
	AcknowledgeTime time.Time
	Params          resource.Params
}

// Filter is a named list filter over one kind.
type Filter struct {
	resource.Common
	Documented
	Name   string
	Object string // the kind
	Query  string // as in a list's URL
	Params resource.Params
}

// The kinds for people who watch.
var (
	Alerts = &resource.Kind[Alert]{
		Name: "alerts", Key: func(o *Alert) string { return o.Uuid },
		Common: func(o *Alert) *resource.Common { return &o.Common },
		Engine: append([]string{"Uuid", "Time", "Count", "Principal", "AcknowledgeUser", "AcknowledgeTime"}, engineCommon...),
		Indexes: []resource.Index[Alert]{
			byUUID(func(o *Alert) string { return o.Uuid }),
			textual(ByName, func(o *Alert) string { return o.Name }),
			textual("Level", func(o *Alert) string { return string(o.Level) }),
			boolean("Acknowledged", func(o *Alert) bool { return o.Acknowledged }),
			{Name: "Count", Of: func(o *Alert) []string { return []string{strconv.Itoa(o.Count)} }, Type: "number", Scan: true},
			scan(textual("Principal", func(o *Alert) string { return o.Principal })),
			timed("Time", func(o *Alert) time.Time { return o.Time }),
		},
		Default: func(o *Alert) {
			if o.Uuid == "" {
				o.Uuid, o.Count = uuid.NewString(), max(o.Count, 1)
			}
			if o.Level == "" {
				o.Level = AlertInfo
			}
			o.Params = fullParams(o.Params)
		},
		Validate: func(o *Alert) []string {
			p := problems{}
			p.name("Name", o.Name, paramName)
			if !slices.Contains([]AlertLevel{AlertInfo, AlertWarn, AlertError, AlertCritical}, o.Level) {
				p.add("Level %q is not known; use INFO, WARN, ERROR or CRITICAL", o.Level)
			}
			return append(p, paramNames(o.Params)...)
		},
		Params: func(o *Alert) *resource.Params { return &o.Params },
	}
	Filters = &resource.Kind[Filter]{
		Name: "filters", Key: func(o *Filter) string { return o.Name },
		Common: func(o *Filter) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes: []resource.Index[Filter]{
			keyed(ByName, func(o *Filter) string { return o.Name }),
			scan(textual("Object", func(o *Filter) string { return o.Object })),
		},
		Default: func(o *Filter) { o.Params = fullParams(o.Params) },
		Validate: func(o *Filter) []string {
			p := problems(named(o.Name, plainName))
			if !isKind(o.Object) {
				p.add("Object: there is no kind %q", o.Object)
			}
			return p
		},
		Params: func(o *Filter) *resource.Params { return &o.Params },
	}
)
