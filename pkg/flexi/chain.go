package flexi

import (
	"fmt"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/param"
	"drpd/pkg/resource"
	"drpd/pkg/workflow"
)

// Params that say which workflow follows.
const (
	ParamApplication = "universal/application"
	ParamIndex       = "universal/workflow-chain-index-override" // instead of the application
	ParamMap         = "universal/workflow-chain-map"            // application -> workflow -> next workflow
	ParamOverride    = "universal/workflow-chain-override"       // workflow -> next workflow, instead of the map
	ParamMaintenance = "universal/maintenance-mode"
)

// maintenance is the chain of a machine in maintenance mode, whatever its
// application says. The mode ends with its last step.
var maintenance = map[string]string{"universal-maintenance": "universal-hardware", "universal-hardware": "universal-local"}

// chain begins the workflow that follows the present one, if any does.
func (x *run) chain() (engine.Result, error) {
	if x.job.WorkOrder != "" {
		return done()
	}
	next, by, err := x.successor()
	if err != nil || next == "" {
		return engine.Result{Done: err == nil}, err
	}
	return x.become(next, by)
}

// successor is the workflow that follows, "" if none does, and what says so.
func (x *run) successor() (next, by string, err error) {
	if next := maintenance[x.on.Workflow]; next != "" && x.yes(ParamMaintenance) {
		if x.on.Workflow == "universal-hardware" {
			err = x.unset(ParamMaintenance)
		}
		return next, "param " + ParamMaintenance, err
	}
	if v, ok := x.value(ParamOverride); ok {
		flows, isMap := v.(map[string]any)
		if !isMap {
			return "", "", x.invalid("param %s must map a workflow to the next one", ParamOverride)
		}
		if len(flows) > 0 {
			next, err = x.flow(flows)
			return next, "param " + ParamOverride, err
		}
	}
	index := x.text(ParamIndex)
	if index == "" {
		index = x.text(ParamApplication)
	}
	v, _ := param.Compose(x.tx, x.scope, ParamMap)
	apps, _ := v.(map[string]any)
	flows, _ := apps[index].(map[string]any)
	next, err = x.flow(flows)
	return next, fmt.Sprintf("entry %s of param %s", index, ParamMap), err
}

func (x *run) flow(flows map[string]any) (string, error) {
	v, ok := flows[x.on.Workflow]
	if !ok {
		return "", nil
	}
	next, isText := v.(string)
	if !isText {
		return "", x.invalid("the workflow after %s must be a name", x.on.Workflow)
	}
	return next, nil
}

// become ends this job and begins another workflow, because by says so.
func (x *run) become(next, by string) (engine.Result, error) {
	if next == x.on.Workflow {
		x.say("workflow %s runs already", next)
		return done()
	}
	step, past := api.ChainStep{From: x.on.Workflow, To: next, By: by}, x.on.Chained
	if x.worked() {
		past = nil
	}
	if at := slices.Index(past, step); at >= 0 || len(past) >= maxChained {
		return engine.Result{}, resource.Errorf(resource.Refused, "workflows", next, "%s", circle(past[max(at, 0):], step))
	}
	x.say("workflow %s follows %s", next, x.on.Workflow)
	if err := workflow.Switch(x.tx, x.job, append(slices.Clone(past), step)); err != nil {
		return engine.Result{}, err
	}
	return done()
}

// maxChained is how many workflows may follow each other without any work.
const maxChained = 100

// circle says that workflows lead back to where they were: steps are the way
// round, last is the one that begins it again.
func circle(steps []api.ChainStep, last api.ChainStep) string {
	var way []string
	for _, s := range steps[:min(len(steps), 10)] {
		way = append(way, s.From)
	}
	return fmt.Sprintf("workflows follow each other without end, and no task between them does any work: %s -> %s; change %s, then set Runnable, or set another workflow",
		strings.Join(way, " -> "), last.From, last.By)
}

// worked says whether the present workflow has done more than what all
// universal workflows do around their work: an agent ran a task, or the server
// an operation of another package.
func (x *run) worked() bool {
	j := x.job
	for range 2 * workflow.MaxTasks {
		verb, _ := api.Entry(j.Task)
		op := api.Operation(x.tx, j.Task)
		if j.State == api.JobFinished && (verb == "" && op == "" || op != "" && !frame(op)) {
			return true
		}
		if j.Previous == "" || j.Previous == api.NoJob {
			return false
		}
		before, err := api.Jobs.Get(x.tx, j.Previous)
		if err != nil { // removed: it ended long ago
			return true
		}
		j = before
	}
	return true
}

// frame says whether an operation is one of ours.
func frame(op string) bool {
	name, _, _ := strings.Cut(op, "/")
	return slices.Contains([]string{"flexiflow", "classify", "validation", "callback", "universal"}, name)
}

// unset takes a param from the machine itself.
func (x *run) unset(name string) error {
	if _, ok := x.on.Params[name]; !ok {
		return nil
	}
	return x.modify(func(m *api.Machine) { delete(m.Params, name) })
}
