package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// logins remembers successful logins for a short while, since scrypt takes a
// tenth of a second and clients with Basic send it each time. It holds keyed
// digests only, of the password together with the hash that it matched.
type logins struct {
	key  [32]byte
	mu   sync.Mutex // guards seen
	seen map[[32]byte]time.Time
}

const (
	loginTTL = time.Minute
	loginMax = 1024
)

func newLogins() *logins {
	l := &logins{seen: map[[32]byte]time.Time{}}
	rand.Read(l.key[:]) // never fails
	return l
}

func (l *logins) digest(user, secret, hash string) (out [32]byte) {
	m := hmac.New(sha256.New, l.key[:])
	for _, s := range []string{user, hash, secret} {
		m.Write([]byte{byte(len(s)), byte(len(s) >> 8)})
		m.Write([]byte(s))
	}
	m.Sum(out[:0])
	return out
}

func (l *logins) known(user, secret, hash string, now time.Time) bool {
	d := l.digest(user, secret, hash)
	l.mu.Lock()
	defer l.mu.Unlock()
	until, ok := l.seen[d]
	return ok && now.Before(until)
}

func (l *logins) add(user, secret, hash string, now time.Time) {
	d := l.digest(user, secret, hash)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.seen) >= loginMax {
		clear(l.seen)
	}
	l.seen[d] = now.Add(loginTTL)
}

// limiter counts failures by address in windows of a minute.
type limiter struct {
	max   int
	mu    sync.Mutex // guards below
	count map[string]*window
}

type window struct {
	start time.Time
	n     int
}

// limiterMax bounds the addresses remembered; when it is reached, old windows
// go, and if none is old, all go: an attacker with that many addresses is not
// held by a limit for each.
const limiterMax = 10_000

func newLimiter(perMinute int) *limiter { return &limiter{max: perMinute, count: map[string]*window{}} }

func (l *limiter) allowed(addr string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.count[addr]
	return w == nil || now.Sub(w.start) >= time.Minute || w.n < l.max
}

func (l *limiter) failed(addr string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.count[addr]
	if w == nil || now.Sub(w.start) >= time.Minute {
		l.makeRoom(now)
		w = &window{start: now}
		l.count[addr] = w
	}
	w.n++
}

func (l *limiter) makeRoom(now time.Time) {
	if len(l.count) < limiterMax {
		return
	}
	for a, w := range l.count {
		if now.Sub(w.start) >= time.Minute {
			delete(l.count, a)
		}
	}
	if len(l.count) >= limiterMax {
		clear(l.count)
	}
}
