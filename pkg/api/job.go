package api

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"drpd/pkg/resource"
)

// JobState is where a job is in its life.
type JobState string

// The job states.
const (
	JobCreated    JobState = "created"
	JobRunning    JobState = "running"
	JobFinished   JobState = "finished"
	JobFailed     JobState = "failed"
	JobIncomplete JobState = "incomplete" // runs again when the machine is runnable
	JobCancelled  JobState = "cancelled"
)

// jobMoves are the legal moves of a job.
var jobMoves = map[JobState][]JobState{
	JobCreated:    {JobRunning, JobFinished, JobFailed, JobCancelled},
	JobRunning:    {JobFinished, JobFailed, JobIncomplete, JobCancelled},
	JobIncomplete: {JobRunning, JobFailed, JobFinished, JobCancelled},
}

// Job is one try at one entry of a task list.
type Job struct {
	resource.Common
	Uuid         string
	Previous     string
	Machine      string
	Task         string
	Stage        string
	BootEnv      string
	Workflow     string
	Context      string
	State        JobState
	ExitState    string
	StartTime    time.Time
	EndTime      time.Time
	Archived     bool
	Current      bool
	CurrentIndex int
	NextIndex    int
	WorkOrder    string   `json:",omitempty"`
	ResultErrors []string `json:",omitempty"`
	ExtraClaims  []Claim  `json:",omitempty"`
	Token        string   `json:",omitempty"`
	// Waiting says why a running job of the server does not move.
	Waiting string `json:",omitempty"`
	// Note is what a native operation remembers between its steps.
	Note resource.Params `json:",omitempty"`
}

// JobAction is one rendered template of a job: a script if Path is empty.
type JobAction struct {
	Name    string
	Path    string
	Content string
	Meta    map[string]string
}

// Jobs, indexed by their machine and state.
var Jobs = &resource.Kind[Job]{
	Name: "jobs", Key: func(o *Job) string { return o.Uuid },
	Common: func(o *Job) *resource.Common { return &o.Common },
	Engine: append([]string{"Uuid", "Machine", "Previous", "Task", "Stage", "Workflow", "CurrentIndex", "NextIndex", "WorkOrder", "Current", "Waiting", "Note", "ExtraClaims", "Token"}, engineCommon...),
	Indexes: []resource.Index[Job]{
		{Name: ByUuid, Of: func(o *Job) []string { return one(o.Uuid) }, Unique: true},
		{Name: "Machine", Of: func(o *Job) []string { return one(o.Machine) }},
		{Name: "State", Of: func(o *Job) []string { return one(string(o.State)) }},
		{Name: "Task", Of: func(o *Job) []string { return one(o.Task) }},
		{Name: "Stage", Of: func(o *Job) []string { return one(o.Stage) }},
		{Name: "Workflow", Of: func(o *Job) []string { return one(o.Workflow) }},
		{Name: "WorkOrder", Of: func(o *Job) []string { return one(o.WorkOrder) }},
		{Name: "Current", Of: func(o *Job) []string { return []string{fmt.Sprint(o.Current)} }},
	},
	Default: func(o *Job) {
		if o.Uuid == "" {
			o.Uuid = uuid.NewString()
		}
	},
}

// Ended says that the job will not change any more.
func (o *Job) Ended() bool {
	return o.State == JobFinished || o.State == JobFailed || o.State == JobCancelled
}

// Move changes the state if that is legal, and stamps the times.
func (o *Job) Move(to JobState, now time.Time) error {
	if !slices.Contains(jobMoves[o.State], to) {
		return resource.Errorf(resource.Conflict, "jobs", o.Uuid, "a %s job cannot become %s", o.State, to)
	}
	o.State, o.Waiting = to, ""
	switch {
	case to == JobRunning && o.StartTime.IsZero():
		o.StartTime = now
	case o.Ended():
		o.EndTime = now
	}
	return nil
}
