package bmc

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"drpd/pkg/api"
)

func TestPatience(t *testing.T) {
	t.Parallel()
	on := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	at := func(step string, s int) api.BootStep {
		return api.BootStep{Step: step, Time: on.Add(time.Duration(s) * time.Second)}
	}
	for name, c := range map[string]struct {
		last api.BootStep
		want time.Duration
	}{
		"nothing seen: firmware may be slow": {api.BootStep{}, 5 * time.Minute},
		"loader fetched, then silence":       {at("tftp", 20), 110 * time.Second},
		"script fetched, then silence":       {at("http", 30), 2 * time.Minute},
		"kernel on its way to the agent":     {at("kernel", 40), 5 * time.Minute},
		"a lease of the installed system":    {at("lease", 40), 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, patience(c.last, on).Sub(on)) })
	}
}
