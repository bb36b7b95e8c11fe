package flexi

import (
	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/param"
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
	next, err := x.successor()
	if err != nil || next == "" {
		return engine.Result{Done: err == nil}, err
	}
	return x.become(next)
}

func (x *run) successor() (string, error) {
	if next := maintenance[x.on.Workflow]; next != "" && x.yes(ParamMaintenance) {
		if x.on.Workflow == "universal-hardware" {
			return next, x.unset(ParamMaintenance)
		}
		return next, nil
	}
	if v, ok := x.value(ParamOverride); ok {
		flows, isMap := v.(map[string]any)
		if !isMap {
			return "", x.invalid("param %s must map a workflow to the next one", ParamOverride)
		}
		if len(flows) > 0 {
			return x.flow(flows)
		}
	}
	index := x.text(ParamIndex)
	if index == "" {
		index = x.text(ParamApplication)
	}
	v, _ := param.Compose(x.tx, x.scope, ParamMap)
	apps, _ := v.(map[string]any)
	flows, _ := apps[index].(map[string]any)
	return x.flow(flows)
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

// become ends this job and begins another workflow.
func (x *run) become(next string) (engine.Result, error) {
	if next == x.on.Workflow {
		x.say("workflow %s runs already", next)
		return done()
	}
	x.say("workflow %s follows %s", next, x.on.Workflow)
	if err := workflow.Switch(x.tx, x.job, next); err != nil {
		return engine.Result{}, err
	}
	return done()
}

// unset takes a param from the machine itself.
func (x *run) unset(name string) error {
	if _, ok := x.on.Params[name]; !ok {
		return nil
	}
	return x.modify(func(m *api.Machine) { delete(m.Params, name) })
}
