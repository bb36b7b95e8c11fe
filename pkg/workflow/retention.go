package workflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
)

// Preferences that bound how many ended jobs are kept, with DRP's names. A
// value of 0 is no bound.
const (
	PrefJobsToKeep  = "jobsToKeep"              // newest jobs of each machine
	PrefFailedAge   = "failedJobsPurgedAfter"   // a duration: 90m, 720h, 30d
	PrefCompleteAge = "completeJobsPurgedAfter" // likewise, for finished ones
)

// RetentionDefaults are the values of a first start.
var RetentionDefaults = map[string]string{PrefJobsToKeep: "1000", PrefFailedAge: "720h", PrefCompleteAge: "720h"}

// Limits of the rule that removes jobs.
const (
	purgeBatch = 500
	purgeEvery = time.Hour
)

// Retention says which ended jobs are kept. Zero values do not bound.
type Retention struct {
	Keep          int // newest jobs of each machine
	FailedAfter   time.Duration
	CompleteAfter time.Duration
}

// RetentionOf reads the retention from values by the preferences' names.
func RetentionOf(get func(name string) string) (Retention, error) {
	var r Retention
	var err error
	value := func(name string) string { return first(get(name), RetentionDefaults[name]) }
	if r.Keep, err = strconv.Atoi(value(PrefJobsToKeep)); err != nil || r.Keep < 0 {
		return r, resource.Errorf(resource.Malformed, "preferences", PrefJobsToKeep, "%q is not a number of jobs", value(PrefJobsToKeep))
	}
	for name, to := range map[string]*time.Duration{PrefFailedAge: &r.FailedAfter, PrefCompleteAge: &r.CompleteAfter} {
		if *to, err = parseAge(value(name)); err != nil {
			return r, resource.Errorf(resource.Malformed, "preferences", name, "%v", err)
		}
	}
	return r, nil
}

// parseAge reads a duration, also one in days (30d) or bare seconds.
func parseAge(s string) (time.Duration, error) {
	unit := time.Second
	number, days := strings.CutSuffix(s, "d")
	if days {
		unit = 24 * time.Hour
	}
	if n, err := strconv.Atoi(number); err == nil && n >= 0 && n < 100_000_000 {
		return time.Duration(n) * unit, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration such as 90m, 720h or 30d", s)
	}
	return d, nil
}

// Expired lists the jobs that need not be kept, of one machine or of all ("").
// The job at the cursor of a machine or work order is never among them, nor is
// one that has not ended while its machine lives.
func (r Retention) Expired(v resource.Reader, now time.Time, machine string) []string {
	byMachine := map[string][]*api.Job{}
	list := api.Jobs.All(v)
	if machine != "" {
		list = api.Jobs.By(v, "Machine", machine)
	}
	for j := range list {
		byMachine[j.Machine] = append(byMachine[j.Machine], j)
	}
	var out []string
	for id, jobs := range byMachine {
		_, m := api.Runner(v, id)
		slices.SortFunc(jobs, func(a, b *api.Job) int { return b.StartTime.Compare(a.StartTime) })
		for i, j := range jobs {
			if !inUse(v, m, j) && (r.Keep > 0 && i >= r.Keep || r.old(now, j)) {
				out = append(out, j.Uuid)
			}
		}
	}
	slices.Sort(out)
	return out
}

func inUse(v resource.Reader, m *api.Machine, j *api.Job) bool {
	if o, err := api.WorkOrders.Get(v, j.WorkOrder); err == nil && o.CurrentJob == j.Uuid && !o.Ended() {
		return true
	}
	return m != nil && (m.CurrentJob == j.Uuid || !j.Ended() || len(m.TaskErrorStacks) > 0 && m.TaskErrorStacks[0].Job == j.Uuid)
}

func (r Retention) old(now time.Time, j *api.Job) bool {
	limit, end := r.FailedAfter, j.EndTime
	if j.State == api.JobFinished {
		limit = r.CompleteAfter
	}
	if end.IsZero() {
		end = j.StartTime
	}
	return limit > 0 && now.Sub(end) > limit
}

// retentionRule removes expired jobs once an hour, a batch at a time. It hangs
// on the preference that is there since the first start.
func retentionRule() engine.Rule {
	return engine.Rule{Name: "job retention", Kind: api.Preferences, Step: func(tx *resource.Tx, now time.Time, key string) (engine.Result, error) {
		if key != PrefJobsToKeep {
			return engine.Result{}, nil
		}
		keep, err := RetentionOf(func(name string) string { return preference(tx, name) })
		if err != nil {
			return engine.Result{Waiting: err.Error()}, nil
		}
		list := keep.Expired(tx, now, "")
		for _, id := range list[:min(len(list), purgeBatch)] {
			if err := api.Jobs.Delete(tx, id); err != nil {
				return engine.Result{}, err
			}
		}
		if len(list) > purgeBatch {
			return engine.Result{Until: now.Add(time.Second)}, nil
		}
		return engine.Result{Until: now.Add(purgeEvery)}, nil
	}}
}
