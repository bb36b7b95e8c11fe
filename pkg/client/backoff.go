package client

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff waits ever longer between tries: First, then twice as long each time
// up to Last. Copies wait on their own.
type Backoff struct {
	First, Last time.Duration
	next        time.Duration
}

// Sleep waits, by up to a quarter less so that a rack of machines does not ask
// in step, and says whether ctx still holds.
func (b *Backoff) Sleep(ctx context.Context) bool {
	b.next = min(max(2*b.next, b.First), b.Last)
	t := time.NewTimer(b.next - rand.N(b.next/4+1))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Reset makes the next wait the first again.
func (b *Backoff) Reset() { b.next = 0 }
