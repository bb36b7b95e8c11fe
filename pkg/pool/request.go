package pool

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Verb is one of the four operations on a pool's machines.
type Verb string

// The verbs, as URLs name them (POST /pools/<id>/<verb>).
const (
	Add      Verb = "addMachines"
	Remove   Verb = "removeMachines"
	Allocate Verb = "allocateMachines"
	Release  Verb = "releaseMachines"
)

// Limits of a request.
const (
	MaxWait = 24 * time.Hour
	maxList = 10000 // machines named, filters
)

// Request asks for one verb on some machines of a pool. Exactly one of Count,
// All and List chooses how many; Filter narrows the choice.
type Request struct {
	Verb    Verb
	Pool    string
	Source  string // of Add: the pool to take from
	User    string // who asks; "" if it is no person
	Force   bool
	Count   int
	Minimum int // fewer found: nothing moves
	All     bool
	List    []string // machines by uuid or Index:value
	Filter  []string // all of them must fit
	Wait    time.Duration
	Actions api.PoolActions // laid over the pool's own
}

// wire is the body of a request, with DRP's names.
type wire struct {
	Count            int             `json:"pool/count"`
	Minimum          int             `json:"pool/minimum"`
	All              bool            `json:"pool/all-machines"`
	List             []string        `json:"pool/machine-list"`
	Filter           []string        `json:"pool/filter"`
	Wait             any             `json:"pool/wait-timeout"`
	Workflow         string          `json:"pool/workflow"`
	AddProfiles      []string        `json:"pool/add-profiles"`
	RemoveProfiles   []string        `json:"pool/remove-profiles"`
	AddParameters    resource.Params `json:"pool/add-parameters"`
	RemoveParameters []string        `json:"pool/remove-parameters"`
}

// Parse reads the body and query of POST /pools/<pool>/<verb>. An empty body
// means one machine.
func Parse(verb Verb, pool string, body []byte, query url.Values) (Request, error) {
	var w wire
	if len(bytes.TrimSpace(body)) > 0 {
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&w); err != nil {
			return Request{}, malformed(pool, "the body is not a request to a pool: %v", err)
		}
	}
	force, _ := strconv.ParseBool(query.Get("force"))
	q := Request{Verb: verb, Pool: pool, Force: force, Count: w.Count, Minimum: w.Minimum, All: w.All, List: w.List, Filter: w.Filter,
		Actions: api.PoolActions{Workflow: w.Workflow, AddProfiles: w.AddProfiles, RemoveProfiles: w.RemoveProfiles,
			AddParameters: w.AddParameters, RemoveParameters: w.RemoveParameters}}
	if verb == Add {
		q.Source = Default
		if s := query.Get("source-pool"); s != "" {
			q.Source = s
		}
	}
	var err error
	if q.Wait, err = parseWait(w.Wait); err != nil {
		return Request{}, malformed(pool, "pool/wait-timeout: %v", err)
	}
	return q, q.check()
}

func malformed(pool, format string, args ...any) error {
	return resource.Errorf(resource.Malformed, "pools", pool, format, args...)
}

// check fills in the defaults and refuses what contradicts itself.
func (q *Request) check() error {
	if problems := api.Pools.Validate(&api.Pool{Id: q.Pool}); len(problems) > 0 {
		return &resource.Error{Code: resource.Invalid, Kind: "pools", Key: q.Pool, Msgs: problems}
	}
	switch {
	case q.Count < 0 || q.Minimum < 0:
		return malformed(q.Pool, "pool/count and pool/minimum cannot be negative")
	case q.All && (q.Count > 0 || len(q.List) > 0), len(q.List) > 0 && q.Count > 0:
		return malformed(q.Pool, "give one of pool/count, pool/all-machines and pool/machine-list")
	case len(q.List) > maxList || len(q.Filter) > maxList:
		return malformed(q.Pool, "pool/machine-list and pool/filter have at most %d entries", maxList)
	case q.Verb == Add && q.Source == q.Pool:
		return malformed(q.Pool, "machines cannot be added to the pool that they come from: give another source-pool")
	}
	if !q.All && len(q.List) == 0 && q.Count == 0 {
		q.Count = 1
	}
	if q.Minimum == 0 {
		q.Minimum = max(q.Count, len(q.List))
	}
	if most := max(q.Count, len(q.List)); !q.All && q.Minimum > most {
		return malformed(q.Pool, "pool/minimum is %d, but only %d machines are asked for", q.Minimum, most)
	}
	return nil
}

// parseWait reads seconds, as a number or text, or a duration such as 30m.
func parseWait(v any) (time.Duration, error) {
	var d time.Duration
	switch v := v.(type) {
	case nil:
	case float64:
		d = time.Duration(min(v, MaxWait.Seconds()+1) * float64(time.Second))
	case string:
		if v == "" {
			return 0, nil
		}
		if n, err := strconv.ParseInt(v, 10, 32); err == nil {
			d = time.Duration(n) * time.Second
			break
		}
		var err error
		if d, err = time.ParseDuration(v); err != nil {
			return 0, resource.Errorf(resource.Malformed, "", "", "%q is neither seconds nor a duration such as 30m", v)
		}
	default:
		return 0, resource.Errorf(resource.Malformed, "", "", "neither seconds nor a duration such as 30m")
	}
	if d < 0 || d > MaxWait {
		return 0, resource.Errorf(resource.Malformed, "", "", "must be between 0 and %s", MaxWait)
	}
	return d, nil
}
