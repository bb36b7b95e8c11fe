package api

import (
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
	Independent  bool     // of any task list: a work order's or an action's
	Action       *Action  `json:",omitempty"`
	WorkOrder    string   `json:",omitempty"`
	ResultErrors []string `json:",omitempty"`
	ExtraClaims  []Claim  `json:",omitempty"`
	Token        string   `json:",omitempty"`
	// Waiting says why a running job of the server does not move.
	Waiting string `json:",omitempty"`
	// Note is what a native operation remembers between its steps.
	Note resource.Params `json:",omitempty"`
	// Reports are what the operations of the agent on disks did. The agent sends
	// them with the end of the job; nobody else may.
	Reports []DiskReport `json:",omitempty"`
	// Release is Machine.Uses when the job began.
	Release int `json:",omitempty"`
	// Progressed is when a task that is waited for as long as it gets on, as its
	// Meta "progress" says, last did.
	Progressed time.Time `json:",omitzero"`
}

// Action is one call of a plugin's command on an object.
type Action struct {
	Model      any
	Plugin     string
	Command    string
	CommandSet string
	Params     resource.Params
}

// NoJob is Previous of a job that has none before it.
const NoJob = "00000000-0000-0000-0000-000000000000"

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
	Engine: append([]string{"Uuid", "Machine", "Previous", "Task", "Stage", "Workflow", "CurrentIndex", "NextIndex", "WorkOrder", "Current", "Waiting", "Note",
		"ExtraClaims", "Token", "Release", "Progressed"}, engineCommon...),
	Indexes: []resource.Index[Job]{
		byUUID(func(o *Job) string { return o.Uuid }),
		typed("Machine", typeUUID, func(o *Job) string { return o.Machine }),
		textual("State", func(o *Job) string { return string(o.State) }),
		scan(textual("Task", func(o *Job) string { return o.Task })),
		scan(textual("Stage", func(o *Job) string { return o.Stage })),
		scan(textual("Workflow", func(o *Job) string { return o.Workflow })),
		typed("WorkOrder", typeUUID, func(o *Job) string { return o.WorkOrder }),
		scan(boolean("Current", func(o *Job) bool { return o.Current })),
		scan(typed("Previous", typeUUID, func(o *Job) string { return o.Previous })),
		scan(textual("BootEnv", func(o *Job) string { return o.BootEnv })),
		scan(textual("Context", func(o *Job) string { return o.Context })),
		scan(boolean("Archived", func(o *Job) bool { return o.Archived })),
		timed("StartTime", func(o *Job) time.Time { return o.StartTime }),
		timed("EndTime", func(o *Job) time.Time { return o.EndTime }),
	},
	Default: func(o *Job) {
		if o.Uuid == "" {
			o.Uuid = uuid.NewString()
		}
		if o.Previous == "" {
			o.Previous = NoJob
		}
	},
	Validate: (*Job).problems,
}

// exitStates are how a job may ask to go on.
var exitStates = []string{"", "complete", "reboot", "poweroff", "stop", "failed"}

func (o *Job) problems() []string {
	p := problems{}
	p.uuid("Uuid", o.Uuid)
	if _, known := jobMoves[o.State]; !known && !o.Ended() {
		p.add("Invalid State `%s`", o.State)
	}
	if !slices.Contains(exitStates, o.ExitState) {
		p.add("Invalid ExitState `%s`", o.ExitState)
	}
	return append(p, reportProblems(o.Reports)...)
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

// NoteAgain is the note of a failed job whose task is tried again at once:
// nothing is handled, and nobody needs to repair.
const NoteAgain = "again"

// TriedAgain says whether a failed job has that note.
func (o *Job) TriedAgain() bool { return o.Note[NoteAgain] == true }
