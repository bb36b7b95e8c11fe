package trigger

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // schedules name time zones, hosts may know none
)

// Schedule says when a cron trigger is due.
type Schedule struct {
	every                         time.Duration // @every; else the fields below
	minute, hour, dom, month, dow uint64        // one bit for each value that fits
	anyDay, anyWeekday            bool          // the field was * (or ?)
	zone                          *time.Location
}

// field is one of the five of a schedule.
type field struct {
	name     string
	min, max int
	names    []string // of min, min+1, ...
}

var fields = [5]field{
	{name: "minute", max: 59},
	{name: "hour", max: 23},
	{name: "day of month", min: 1, max: 31},
	{name: "month", min: 1, max: 12, names: strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")},
	{name: "day of week", max: 7, names: strings.Fields("sun mon tue wed thu fri sat")},
}

var nicknames = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// maxScheduleLen bounds the text of a schedule.
const maxScheduleLen = 256

// ParseSchedule reads five fields as cron(5) has them (numbers, names, lists,
// ranges, steps), @hourly and its like, or "@every 90s". A prefix "TZ=Europe/Berlin"
// (or CRON_TZ=) names the time zone, which is UTC without one.
func ParseSchedule(text string) (Schedule, error) {
	if len(text) > maxScheduleLen {
		return Schedule{}, fmt.Errorf("the schedule has %d bytes, %d at most", len(text), maxScheduleLen)
	}
	s := Schedule{zone: time.UTC}
	words := strings.Fields(text)
	if len(words) > 0 {
		if _, name, ok := strings.Cut(words[0], "TZ="); ok {
			zone, err := time.LoadLocation(name)
			if err != nil {
				return Schedule{}, fmt.Errorf("schedule %q: there is no time zone %q", text, name)
			}
			s.zone, words = zone, words[1:]
		}
	}
	if len(words) == 2 && words[0] == "@every" {
		d, err := time.ParseDuration(words[1])
		if err != nil || d < time.Second {
			return Schedule{}, fmt.Errorf("schedule %q: %q is no duration of a second or more, such as 90s or 2h", text, words[1])
		}
		s.every = d
		return s, nil
	}
	if len(words) == 1 && nicknames[words[0]] != "" {
		words = strings.Fields(nicknames[words[0]])
	}
	if len(words) != len(fields) {
		return Schedule{}, fmt.Errorf("schedule %q: wanted are minute, hour, day of month, month and day of week, or @hourly, @daily, @weekly, @monthly, @yearly or @every <duration>", text)
	}
	return s.parseFields(text, words)
}

func (s Schedule) parseFields(text string, words []string) (Schedule, error) {
	var err error
	for i, to := range []*uint64{&s.minute, &s.hour, &s.dom, &s.month, &s.dow} {
		if *to, err = fields[i].parse(words[i]); err != nil {
			return Schedule{}, fmt.Errorf("schedule %q: %s: %w", text, fields[i].name, err)
		}
	}
	if s.dow&(1<<7) != 0 { // 7 is Sunday too
		s.dow |= 1
	}
	s.anyDay, s.anyWeekday = words[2] == "*" || words[2] == "?", words[4] == "*" || words[4] == "?"
	if s.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, s.zone)).IsZero() {
		return Schedule{}, fmt.Errorf("schedule %q never comes: no such month has that day", text)
	}
	return s, nil
}

// parse reads a comma list into bits.
func (f field) parse(text string) (uint64, error) {
	var out uint64
	for part := range strings.SplitSeq(text, ",") {
		b, err := f.part(part)
		if err != nil {
			return 0, err
		}
		out |= b
	}
	return out, nil
}

// part reads "*", "a", "a-b", each perhaps with "/step".
func (f field) part(text string) (uint64, error) {
	span, stepText, stepped := strings.Cut(text, "/")
	step := 1
	if stepped {
		n, err := strconv.Atoi(stepText)
		if err != nil || n < 1 || n > f.max {
			return 0, fmt.Errorf("step %q is not between 1 and %d", stepText, f.max)
		}
		step = n
	}
	from, to := f.min, f.max
	if span != "*" && span != "?" {
		a, b, ranged := strings.Cut(span, "-")
		var err error
		if from, err = f.value(a); err != nil {
			return 0, err
		}
		switch {
		case ranged:
			if to, err = f.value(b); err != nil {
				return 0, err
			}
		case !stepped:
			to = from
		}
	}
	if from > to {
		return 0, fmt.Errorf("%q ends before it begins", span)
	}
	var out uint64
	for v := from; v <= to; v += step {
		out |= 1 << v
	}
	return out, nil
}

func (f field) value(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.min + i, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.min || n > f.max {
		return 0, fmt.Errorf("%q is not between %d and %d", text, f.min, f.max)
	}
	return n, nil
}

// horizon is how far Next looks: 29 February may be eight years away.
const horizon = 9

// Next is the first time after t that the schedule names, in UTC; zero if none
// comes. Where clocks go forward, times that are left out do not come.
func (s Schedule) Next(t time.Time) time.Time {
	if s.every > 0 {
		return t.Add(s.every).UTC()
	}
	last := t.In(s.zone).Year() + horizon
	t = t.In(s.zone).Truncate(time.Minute).Add(time.Minute)
	for t.Year() <= last {
		y, m, d := t.Date()
		var skip time.Time
		switch {
		case !has(s.month, int(m)):
			skip = time.Date(y, m+1, 1, 0, 0, 0, 0, s.zone)
		case !s.onDay(t):
			skip = time.Date(y, m, d+1, 0, 0, 0, 0, s.zone)
		case !has(s.hour, t.Hour()):
			skip = t.Add(time.Hour - time.Duration(t.Minute())*time.Minute)
		case !has(s.minute, t.Minute()):
			skip = t.Add(time.Minute)
		default:
			return t.UTC()
		}
		if !skip.After(t) { // midnight is left out where clocks go forward then
			skip = t.Add(time.Hour)
		}
		t = skip
	}
	return time.Time{}
}

// onDay: if both day fields are restricted, one that fits is enough.
func (s Schedule) onDay(t time.Time) bool {
	day, weekday := has(s.dom, t.Day()), has(s.dow, int(t.Weekday()))
	if s.anyDay || s.anyWeekday {
		return day && weekday
	}
	return day || weekday
}

func has(set uint64, v int) bool { return bits.OnesCount64(set&(1<<v)) == 1 }
