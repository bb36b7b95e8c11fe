package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"drpd/pkg/sim/overlay"
)

// broken breaks one guard after the other: an attempt counts if it then gets
// through.
func (r *run) broken(ctx context.Context) error {
	counts, not := 0, 0
	for _, g := range r.chosen() {
		list := slices.DeleteFunc(all(), func(a attack) bool { return !slices.Contains(g.of, a.guard) || !a.counts() })
		err := r.against(ctx, g.edits, list, func(a attack, got string, err error) {
			switch {
			case errors.Is(err, errSkip):
				fmt.Printf("skipped         %-24s %s: %v\n", a.guard, a.name, err)
			case got != "":
				counts++
				fmt.Printf("gets through    %-24s %s: %.100s\n", a.guard, a.name, got)
			default:
				not++
				fmt.Printf("DOES NOT COUNT  %-24s %s: refused with its guard broken (%v)\n", a.guard, a.name, err)
			}
		})
		if err != nil {
			return fmt.Errorf("with guard %q broken: %w", g.of, err)
		}
	}
	fmt.Printf("attack-broken: %d passed, %d failed\n", counts, not)
	if not > 0 || counts == 0 {
		return fmt.Errorf("%d of %d attempts do not show that their guard is needed", not, counts+not)
	}
	return nil
}

// breakage is one build with broken guards.
type breakage struct {
	of    []string
	edits []overlay.Edit
	apart bool
}

// chosen are the builds to make.
func (r *run) chosen() []breakage {
	var out []breakage
	for _, g := range guards {
		switch {
		case !r.only.MatchString(g.name):
		case r.together && !g.apart && len(out) > 0 && !out[0].apart:
			b := &out[0]
			b.of = append(b.of, g.name)
			for _, e := range g.edits {
				if !slices.Contains(b.edits, e) {
					b.edits = append(b.edits, e)
				}
			}
		default:
			out = append(out, breakage{[]string{g.name}, slices.Clone(g.edits), g.apart})
		}
	}
	return out
}
