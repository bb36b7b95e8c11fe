package main

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// operation is one row of the table.
type operation struct {
	name  string
	about string
	share int // of plan.ops, in percent
	do    func(b *bed, c *conn, i int) error
}

// any is a machine picked so that successive ones are far apart.
func (b *bed) any(i int) string { return b.ids[i*7919%len(b.ids)] }

func operations() []operation {
	return []operation{
		{"get", "GET /machines/UUID", 100, func(b *bed, c *conn, i int) error {
			_, err := c.want(200, "GET", "machines/"+b.any(i), nil)
			return err
		}},
		{"list by name", "GET /machines?Name=NAME", 100, func(b *bed, c *conn, i int) error {
			n := int64(i*7919%len(b.ids)) + 1
			data, err := c.want(200, "GET", fmt.Sprintf("machines?Name=m%07d.rack%03d.example.com", n, n%1000), nil)
			if err == nil && strings.Count(string(data), `"Uuid"`) != 1 {
				err = fmt.Errorf("list by name: %.100s", data)
			}
			return err
		}},
		{"patch", "PATCH /machines/UUID, one field", 100, func(b *bed, c *conn, i int) error {
			_, err := c.want(200, "PATCH", "machines/"+b.any(i), fmt.Appendf(nil, `[{"op":"replace","path":"/Description","value":"visit %d"}]`, b.visits.Add(1)))
			return err
		}},
		{"patch param", "PATCH /machines/UUID, test a field and add a param", 100, func(b *bed, c *conn, i int) error {
			_, err := c.want(200, "PATCH", "machines/"+b.any(i), fmt.Appendf(nil,
				`[{"op":"test","path":"/Arch","value":"amd64"},{"op":"add","path":"/Params/inventory~1visits","value":%d}]`, b.visits.Add(1)))
			return err
		}},
		{"set workflow", "PATCH /machines/UUID, Workflow of 20 tasks", 50, func(b *bed, c *conn, _ int) error {
			i := int(b.turns.Add(1)) // each machine in turn, each time another workflow
			_, err := c.want(200, "PATCH", "machines/"+b.any(i), fmt.Appendf(nil, `[{"op":"add","path":"/Workflow","value":"bench-%c"}]`, 'a'+i/len(b.ids)%2))
			return err
		}},
	}
}

// workers are the 100 machines whose jobs are run, at every size the same.
const workers = 100

// prepareJobs puts the workers at the beginning of a workflow.
func (b *bed) prepareJobs() error {
	_, err := b.spread(b.clients, workers, time.Minute, func(c *conn, i int) error {
		for _, w := range []string{"", "bench-a"} {
			if _, err := c.want(200, "PATCH", "machines/"+b.worker(i), fmt.Appendf(nil, `[{"op":"add","path":"/Workflow","value":%q}]`, w)); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

func (b *bed) worker(i int) string { return b.ids[i%workers*(len(b.ids)/workers)] }

// cycle is the life of one job as its agent makes it: claim it, start it, fetch
// its scripts, end it.
func (b *bed) cycle(c *conn, i int) error {
	// A client that stalled may still be at this machine's last job.
	busy := &b.busy[i%len(b.busy)]
	busy.Lock()
	defer busy.Unlock()
	data, err := c.want(201, "POST", "jobs", []byte(`{"Machine":"`+b.worker(i)+`"}`))
	if err != nil {
		return err
	}
	id, err := uuidIn(data)
	if err != nil {
		return err
	}
	if _, err := c.want(200, "PATCH", "jobs/"+id, []byte(`[{"op":"replace","path":"/State","value":"running"}]`)); err != nil {
		return err
	}
	if _, err := c.want(200, "GET", "jobs/"+id+"/actions", nil); err != nil {
		return err
	}
	_, err = c.want(200, "PATCH", "jobs/"+id, []byte(`[{"op":"replace","path":"/State","value":"finished"}]`))
	return err
}

// measure runs everything that the plan asks for at this size.
func (b *bed) measure(rep *report, alsoTLS bool) error {
	for _, op := range operations() {
		if op.name == "set workflow" && b.wants(op.name) { // each machine has had one before
			if _, err := b.spread(b.clients, len(b.ids), time.Minute, func(c *conn, i int) error { return op.do(b, c, i) }); err != nil {
				return err
			}
		}
		if err := b.row(rep, op.name, b.plan.ops*op.share/100, func(c *conn, i int) error { return op.do(b, c, i) }); err != nil {
			return err
		}
	}
	for _, do := range []func(*report) error{b.jobs, b.creates, b.list, b.watch, b.memory} {
		if err := do(rep); err != nil {
			return err
		}
	}
	if alsoTLS {
		return b.overTLS(rep)
	}
	return nil
}

func (b *bed) wants(name string) bool {
	return b.plan.only == "" || slices.Contains(strings.Split(b.plan.only, ","), name)
}

// row measures one operation with the bed's clients.
func (b *bed) row(rep *report, name string, n int, do func(c *conn, i int) error) error {
	if !b.wants(name) {
		return nil
	}
	return b.rounds(rep, name, func(m *sample) error { return b.round(m, n/rounds, do) })
}

// rounds is how often each operation is measured: the median counts, since
// neighbors on the same machine disturb single rounds.
const rounds = 5

// rounds measures one operation by that many calls of once.
func (b *bed) rounds(rep *report, name string, once func(m *sample) error) error {
	all := make([]sample, rounds)
	file := fmt.Sprintf("%s-%d", strings.ReplaceAll(name, " ", "-"), len(b.ids))
	err := b.srv.profiled(b.plan.profile, file, b.plan.most/2, func() error {
		for i := range all {
			if err := once(&all[i]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	})
	if err == nil {
		slices.SortFunc(all, func(a, b sample) int { return cmp.Compare(a.micros(), b.micros()) })
		rep.add(name, len(b.ids), all[rounds/2])
	}
	return err
}

// round adds one measured stretch to m. The CPU includes what the server does
// afterwards because of it.
func (b *bed) round(m *sample, n int, do func(c *conn, i int) error) error {
	if err := b.srv.idle(); err != nil {
		return err
	}
	before, err := b.srv.usage()
	if err != nil {
		return err
	}
	start := time.Now()
	ran, err := b.spread(b.clients, n, b.plan.most, do)
	m.took += time.Since(start)
	m.ops += ran
	if err != nil {
		return err
	}
	if err := b.srv.idle(); err != nil {
		return err
	}
	after, err := b.srv.usage()
	m.cpu += after.cpu - before.cpu
	m.objects += after.objects - before.objects
	m.bytes += after.bytes - before.bytes
	return err
}
