package trigger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ schedule, after, want string }{
		{"* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"},
		{"* * * * *", "2026-01-01T00:00:59Z", "2026-01-01T00:01:00Z"},
		{"30 4 * * *", "2026-01-01T04:30:00Z", "2026-01-02T04:30:00Z"},
		{"*/15 * * * *", "2026-01-01T00:16:00Z", "2026-01-01T00:30:00Z"},
		{"5/20 * * * *", "2026-01-01T00:26:00Z", "2026-01-01T00:45:00Z"},
		{"0 9-17/4 * * *", "2026-01-01T13:00:00Z", "2026-01-01T17:00:00Z"},
		{"0 0 * * mon-fri", "2026-01-02T12:00:00Z", "2026-01-05T00:00:00Z"},
		{"0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"},
		{"0 0 1,15 * *", "2026-01-01T00:00:00Z", "2026-01-15T00:00:00Z"},
		{"0 0 13 * fri", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"}, // either day
		{"0 0 31 * *", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z"},
		{"0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"0 0 29 feb ?", "2097-01-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"@hourly", "2026-01-01T00:30:00Z", "2026-01-01T01:00:00Z"},
		{"@daily", "2026-01-01T00:30:00Z", "2026-01-02T00:00:00Z"},
		{"@weekly", "2026-01-01T00:30:00Z", "2026-01-04T00:00:00Z"},
		{"@monthly", "2026-01-01T00:30:00Z", "2026-02-01T00:00:00Z"},
		{"@yearly", "2026-01-01T00:30:00Z", "2027-01-01T00:00:00Z"},
		{"@every 90s", "2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z"},
		{"TZ=Europe/Berlin 0 6 * * *", "2026-07-01T00:00:00Z", "2026-07-01T04:00:00Z"},
		{"CRON_TZ=Asia/Kolkata 15 10 * * *", "2026-07-01T00:00:00Z", "2026-07-01T04:45:00Z"},
		// Clocks go forward at 2:00 on 29 March: that 2:30 is left out.
		{"TZ=Europe/Berlin 30 2 * * *", "2026-03-28T02:00:00Z", "2026-03-30T00:30:00Z"},
		// Midnight is left out in Beirut on that day.
		{"TZ=Asia/Beirut 0 0 * * *", "2026-03-28T12:00:00Z", "2026-03-29T21:00:00Z"},
	} {
		after, err := time.Parse(time.RFC3339, c.after)
		require.NoError(t, err)
		s, err := ParseSchedule(c.schedule)
		require.NoError(t, err, c.schedule)
		assert.Equal(t, c.want, s.Next(after).Format(time.RFC3339), "%s after %s", c.schedule, c.after)
	}
}

func TestParseScheduleRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                    "wanted are minute",
		"* * * *":             "wanted are minute",
		"* * * * * *":         "wanted are minute",
		"60 * * * *":          `minute: "60" is not between 0 and 59`,
		"* 24 * * *":          "hour",
		"* * 0 * *":           "day of month",
		"* * * 13 *":          "month",
		"* * * * 8":           "day of week",
		"* * * foo *":         `"foo" is not between 1 and 12`,
		"5-1 * * * *":         "ends before it begins",
		"*/0 * * * *":         "step",
		"*/x * * * *":         "step",
		", * * * *":           "minute",
		"0 0 30 2 *":          "never comes",
		"@every 1ms":          "no duration",
		"@every":              "wanted are minute",
		"@never":              "wanted are minute",
		"TZ=Mars/Base @daily": "no time zone",
	} {
		_, err := ParseSchedule(text)
		assert.ErrorContains(t, err, want, text)
	}
}

// FuzzSchedule: whatever can be read names a next time after any time, and one
// that its own fields hold.
func FuzzSchedule(f *testing.F) {
	for _, s := range []string{"* * * * *", "*/5 1-3 1,2 jan-mar/2 mon", "@every 1h", "TZ=UTC @daily", "0 0 29 2 1"} {
		f.Add(s, int64(1767225600))
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		s, err := ParseSchedule(text)
		if err != nil {
			return
		}
		after := time.Unix(unix%(1<<32), 0)
		next := s.Next(after)
		if next.IsZero() || !next.After(after) {
			t.Fatalf("%q after %s: %s", text, after, next)
		}
		local := next.In(s.zone)
		if s.every == 0 && !(has(s.minute, local.Minute()) && has(s.hour, local.Hour()) && has(s.month, int(local.Month())) && s.onDay(local)) {
			t.Fatalf("%q after %s: %s does not fit", text, after, local)
		}
	})
}
