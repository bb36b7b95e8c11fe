package flexi

import (
	"slices"
	"strings"

	"drpd/pkg/engine"
	"drpd/pkg/workflow"
)

// Params of FlexiFlow, of lists of classifiers and of validation.
const (
	ParamList      = "flexiflow/list-parameter"      // names the param that holds the list of tasks
	ParamNoCompose = "flexiflow/no-compose"          // the nearest list only
	ParamFlow      = "flexiflow/workflow"            // what flexiflow-workflow switches to
	ParamStages    = "classify/stage-list-parameter" // names the param that holds the list of stages
	ParamChecks    = "validation/list-parameter"
	ParamErrors    = "validation/errors"        // what checks found wrong
	ParamIgnore    = "validation/errors-ignore" // which of that does not count
	ParamSkip      = "universal/skip-list-parameter"
)

// named reads the list in the param whose name another param holds.
func (x *run) named(pointer string) (name string, list []string, err error) {
	name = x.text(pointer)
	if name == "" {
		return "", nil, x.invalid("param %s is not set: the stage must name a param that holds a list", pointer)
	}
	list, err = x.texts(name, !x.yes(ParamNoCompose))
	return name, list, err
}

// insert puts a list between this task and the one that ends it: the part of
// the task's name before "-start" is the same.
func (x *run) insert(name string, list []string) (engine.Result, error) {
	end := strings.TrimSuffix(x.job.Task, "-start") + "-stop"
	if len(list) > 0 {
		x.say("%s: %s", name, strings.Join(list, ", "))
	}
	if err := workflow.Splice(x.tx, x.job, end, list); err != nil {
		return engine.Result{}, err
	}
	return done()
}

func (x *run) flexiStart() (engine.Result, error) {
	name, list, err := x.named(ParamList)
	if err != nil {
		return engine.Result{}, err
	}
	return x.insert(name, list)
}

// flexiWorkflow switches to the workflow that a param names, if it does.
func (x *run) flexiWorkflow() (engine.Result, error) {
	if next := x.text(ParamFlow); next != "" {
		return x.become(next, "param "+ParamFlow)
	}
	return done()
}

// listStart inserts a stage and its classification for each stage of the list.
func (x *run) listStart() (engine.Result, error) {
	name, stages, err := x.named(ParamStages)
	if err != nil {
		return engine.Result{}, err
	}
	var list []string
	for _, s := range stages {
		list = append(list, "stage:"+s, "classify")
	}
	return x.insert(name, list)
}

// validationStart forgets what earlier checks found and inserts the checks.
func (x *run) validationStart() (engine.Result, error) {
	name, list, err := x.named(ParamChecks)
	if err != nil {
		return engine.Result{}, err
	}
	if err := x.unset(ParamErrors); err != nil {
		return engine.Result{}, err
	}
	return x.insert(name, list)
}

// validationStop fails with the errors that count.
func (x *run) validationStop() (engine.Result, error) {
	errs, err := x.texts(ParamErrors, true)
	if err != nil {
		return engine.Result{}, err
	}
	ignore, err := x.texts(ParamIgnore, true)
	if err != nil {
		return engine.Result{}, err
	}
	count := slices.DeleteFunc(errs, func(s string) bool { return slices.Contains(ignore, s) })
	if len(count) > 0 {
		return engine.Result{}, x.invalid("validation found %d errors: %s", len(count), strings.Join(count, "; "))
	}
	return done()
}

// skip takes the stages that a list names out of the workflow.
func (x *run) skip() (engine.Result, error) {
	name, list, err := x.named(ParamSkip)
	if err != nil || len(list) == 0 {
		return engine.Result{Done: err == nil}, err
	}
	x.say("skipped by %s: %s", name, strings.Join(list, ", "))
	if err := workflow.Skip(x.tx, x.job, list); err != nil {
		return engine.Result{}, err
	}
	return done()
}
