package render

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limits of the time and memory of one rendering, of all texts of a task together.
const (
	MaxTime   = 10 * time.Second
	MaxMade   = 128 << 20 // bytes that functions and templates make, kept or not
	MaxCostly = 16        // keys, certificates and password hashes
)

// budget is what a rendering may still use. Every function, turn of a loop and
// output asks it, and each by itself is bounded to a second or so, so that a
// rendering ends soon after its request, its time or the server does.
type budget struct {
	ctx    context.Context
	made   int // bytes left
	costly int // calls left
}

// start gives the context a budget, unless what it belongs to has one.
func (c Context) start() (Context, context.CancelFunc) {
	if c.budget != nil {
		return c, func() {}
	}
	ctx := c.Ctx
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, MaxTime)
	c.budget = &budget{ctx: ctx, made: MaxMade, costly: MaxCostly}
	return c, cancel
}

// tick says whether the rendering may go on.
func (b *budget) tick() error {
	switch err := b.ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("takes longer than its %v: make the template loop less", MaxTime)
	default:
		return fmt.Errorf("nobody waits for it any more: %w", err)
	}
}

// make takes bytes from what is left.
func (b *budget) make(n int) error {
	if b.made -= n; b.made < 0 {
		return fmt.Errorf("functions and templates make more than %d bytes: keep less in variables, or loop less", MaxMade)
	}
	return b.tick()
}

func (b *budget) costs() error {
	if b.costly--; b.costly < 0 {
		return fmt.Errorf("more than %d calls that make keys, certificates or password hashes", MaxCostly)
	}
	return nil
}
