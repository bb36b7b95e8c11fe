package rest

import (
	"sync"

	"drpd/pkg/resource"
)

// Followers are the patterns of all who follow events now, over websocket or
// stream: what happens often and is no change of an object is told only if
// somebody asked for it. The zero value is none.
type Followers struct {
	mu  sync.RWMutex // guards all
	all map[string]*followed
}

type followed struct {
	pattern
	users int
}

// Want says whether somebody follows events like this one. Rights are looked at
// when the event goes out.
func (f *Followers) Want(e resource.Event) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, p := range f.all {
		if p.matches(e) {
			return true
		}
	}
	return false
}

func (f *Followers) add(p pattern) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[string]*followed{}
	}
	if f.all[p.text] == nil {
		f.all[p.text] = &followed{pattern: p}
	}
	f.all[p.text].users++
}

func (f *Followers) remove(p pattern) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if q := f.all[p.text]; q != nil {
		if q.users--; q.users == 0 {
			delete(f.all, p.text)
		}
	}
}
