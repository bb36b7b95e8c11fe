package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// jobs measures whole job cycles: each worker has jobTasks of them before its
// workflow begins anew, which is not measured.
func (b *bed) jobs(rep *report) error {
	if !b.wants("job cycle") {
		return nil
	}
	return b.rounds(rep, "job cycle", func(m *sample) error {
		if err := b.prepareJobs(); err != nil {
			return err
		}
		return b.round(m, min(b.plan.ops, workers*jobTasks), b.cycle)
	})
}

// creates measures creation of a tenth of the fleet, and removes the new
// machines again, so that the size stays what the row says.
func (b *bed) creates(rep *report) error {
	if !b.wants("create") {
		return nil
	}
	return b.rounds(rep, "create", b.createRound)
}

func (b *bed) createRound(m *sample) error {
	fresh := make([]string, min(max(len(b.ids)/10, 100), 1000))
	if err := b.round(m, len(fresh), func(c *conn, i int) (err error) {
		fresh[i], err = b.create(c)
		return err
	}); err != nil {
		return err
	}
	_, err := b.spread(b.clients, len(fresh), time.Minute, func(c *conn, i int) error {
		if fresh[i] == "" {
			return nil
		}
		_, err := c.want(200, "DELETE", "machines/"+fresh[i], nil)
		return err
	})
	return err
}

// list measures one client that reads the whole fleet without its params.
func (b *bed) list(rep *report) error {
	if !b.wants("list slim") {
		return nil
	}
	all := b.clients
	defer func() { b.clients = all }()
	b.clients = all[:1]
	return b.row(rep, "list slim", min(b.plan.ops/100, 50), func(c *conn, _ int) error {
		data, err := c.want(200, "GET", "machines?slim=Params,Meta", nil)
		if n := strings.Count(string(data), `"Uuid":"`); err == nil && n != len(b.ids) {
			err = fmt.Errorf("list has %d of %d machines", n, len(b.ids))
		}
		return err
	})
}

func (b *bed) memory(rep *report) error {
	if err := b.srv.heap(b.plan.profile, fmt.Sprintf("heap-%d", len(b.ids))); err != nil {
		return err
	}
	peak, settled, err := b.srv.memory()
	rep.memory = append(rep.memory, fmt.Sprintf("%d machines: %.0f MiB at the peak, %.0f MiB at rest", len(b.ids), peak, settled))
	fmt.Println(rep.memory[len(rep.memory)-1])
	return err
}

// overTLS repeats the operations on encrypted connections.
func (b *bed) overTLS(rep *report) error {
	plain := b.clients
	defer func() { b.clients = plain }()
	secure, err := b.connect(true)
	if err != nil {
		return err
	}
	b.clients = secure
	for _, op := range operations() {
		if op.name != "get" && op.name != "patch" {
			continue
		}
		if err := b.row(rep, op.name+" over TLS", b.plan.ops*op.share/100, func(c *conn, i int) error { return op.do(b, c, i) }); err != nil {
			return err
		}
	}
	for _, c := range secure {
		c.Close()
	}
	return nil
}

// watchers is how many clients follow events in the measurement of events.
const watchers = 100

// eventRate is how many events a second are published meanwhile.
const eventRate = 1000

// watch measures what an event costs for each watcher: published events of two
// sizes, about those of a changed job and of a changed machine, with watchers
// less the same without.
func (b *bed) watch(rep *report) error {
	for _, kind := range []string{"websocket", "stream"} {
		for _, size := range []int{600, 4000} {
			name := fmt.Sprintf("event of %d bytes to a %s", size, kind)
			if !b.wants("event to a "+kind) && !b.wants(name) {
				continue
			}
			m, err := b.fanOut(kind, size)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			rep.add(name, len(b.ids), m)
		}
	}
	return nil
}

// fanOut is the cost of deliveries alone.
func (b *bed) fanOut(kind string, size int) (sample, error) {
	all := b.clients
	defer func() { b.clients = all }()
	b.clients = all[:1]
	do := b.publisher(size)
	var without, with sample
	if err := b.round(&without, b.plan.ops/2, do()); err != nil {
		return with, err
	}
	n, err := b.watched(kind, fmt.Sprintf("event-%d-%s", size, kind), &with, do())
	if err != nil {
		return with, err
	}
	scale := float64(with.ops) / float64(without.ops)
	return sample{ops: n, took: with.took,
		cpu:     max(with.cpu-time.Duration(scale*float64(without.cpu)), 0),
		objects: less(with.objects, without.objects, scale), bytes: less(with.bytes, without.bytes, scale)}, nil
}

// publisher publishes events of that many bytes, as they are sent to watchers,
// at eventRate.
func (b *bed) publisher(size int) func() func(c *conn, i int) error {
	const around = 180 // time, names and braces
	text := strings.Repeat("x", size-around)
	return func() func(c *conn, i int) error {
		start := time.Now()
		return func(c *conn, i int) error {
			time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / eventRate)))
			_, err := c.want(204, "POST", "events", fmt.Appendf(nil, `{"Type":"bench","Action":"tick","Key":"%06d","Object":{"Text":%q}}`, i, text))
			return err
		}
	}
}

func less(a, b uint64, scale float64) uint64 { return uint64(max(float64(a)-scale*float64(b), 0)) }

// watched is a round under watchers; it returns the events delivered.
func (b *bed) watched(kind, name string, m *sample, do func(c *conn, i int) error) (int, error) {
	var all []*watcher
	defer func() {
		for _, w := range all {
			w.Close()
		}
	}()
	for range watchers {
		w, err := b.follow(kind)
		if err != nil {
			return 0, err
		}
		all = append(all, w)
	}
	var wg sync.WaitGroup
	errs := make([]error, len(all))
	err := b.srv.profiled(b.plan.profile, fmt.Sprintf("%s-%d", strings.ReplaceAll(name, " ", "-"), len(b.ids)), b.plan.most/2, func() error {
		for i, w := range all {
			wg.Go(func() { errs[i] = w.count() })
		}
		return b.round(m, b.plan.ops/2, do)
	})
	n := 0
	for _, w := range all {
		n += int(w.events.Load())
	}
	for _, w := range all {
		w.Close() // ends count
	}
	wg.Wait()
	if err == nil && n < m.ops*watchers {
		err = fmt.Errorf("%d of %d events arrived: %w", n, m.ops*watchers, errors.Join(errs...))
	}
	return n, err
}
