package cli

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"drpd/pkg/api"
)

// The two workflows of a cluster's life, and the params that the verbs use.
const (
	flowProvision = "universal-cluster-provision"
	flowDestroy   = "universal-cluster-destroy"
	paramMember   = "cluster/member"
)

// The states of a cluster, derived from stored facts and stored nowhere.
const (
	stateDefined      = "defined"
	stateProvisioning = "provisioning"
	stateLive         = "live"
	stateFailed       = "failed"
	stateDestroying   = "destroying"
)

// clusterFacts is all that the state follows from.
type clusterFacts struct {
	Cluster *api.Machine
	Members []*api.Machine // the machines that it owns, by name
	Job     *api.Job       // the current one, nil if there is none
}

// broken says that the run stands still because its task failed.
func (f clusterFacts) broken() bool {
	c := f.Cluster
	return !c.WorkflowComplete && !c.Runnable && f.Job != nil && (f.Job.State == api.JobFailed || f.Job.State == api.JobCancelled)
}

// state derives the state. A run that failed before it held a machine leaves
// the cluster defined, so that its definition can be corrected.
func (f clusterFacts) state() string {
	c := f.Cluster
	switch {
	case c.Workflow != "" && !c.WorkflowComplete && f.broken():
		if len(f.Members) == 0 {
			return stateDefined
		}
		return stateFailed
	case c.Workflow == flowDestroy && !c.WorkflowComplete:
		return stateDestroying
	case c.Workflow != "" && !c.WorkflowComplete:
		return stateProvisioning
	case len(f.Members) > 0:
		return stateLive
	}
	return stateDefined
}

// ready counts the members in service.
func (f clusterFacts) ready() int {
	n := 0
	for _, m := range f.Members {
		if m.PoolStatus == api.InUse && m.WorkflowComplete {
			n++
		}
	}
	return n
}

// cluster reads what one cluster's state follows from.
func (s *session) cluster(ctx context.Context, key string) (clusterFacts, error) {
	f := clusterFacts{Cluster: &api.Machine{}}
	if err := s.conn().get(ctx, at("clusters", key), nil, f.Cluster); err != nil {
		return f, err
	}
	var err error
	if f.Members, err = s.members(ctx, f.Cluster.Uuid); err != nil {
		return f, err
	}
	f.Job, err = s.job(ctx, f.Cluster.CurrentJob)
	return f, err
}

func (s *session) members(ctx context.Context, owner string) ([]*api.Machine, error) {
	var list []*api.Machine
	q := url.Values{"Owner": {owner}, "params": {paramMember}}
	if err := s.conn().get(ctx, "/machines", q, &list); err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b *api.Machine) int { return strings.Compare(memberName(a), memberName(b)) })
	return list, nil
}

// memberName is the machine's place in its cluster.
func memberName(m *api.Machine) string {
	if n, ok := m.Params[paramMember].(string); ok && n != "" {
		return n
	}
	return m.Name
}

// job reads a job, nil if there is none.
func (s *session) job(ctx context.Context, key string) (*api.Job, error) {
	if key == "" {
		return nil, nil
	}
	j := &api.Job{}
	err := s.conn().get(ctx, at("jobs", key), nil, j)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return j, nil
}

// summary is what status prints.
func (f clusterFacts) summary() object {
	c := f.Cluster
	members := []any{}
	for _, m := range f.Members {
		members = append(members, memberRow(m))
	}
	o := object{"Name": c.Name, "Uuid": c.Uuid, "State": f.state(), "Members": members, "Ready": f.ready(), "Workflow": c.Workflow,
		"Stage": c.Stage, "WorkflowComplete": c.WorkflowComplete, "WorkOrderMode": c.WorkOrderMode, "Runnable": c.Runnable, "Generation": c.Generation, "Protected": c.Protected}
	if f.Job != nil && !c.WorkflowComplete {
		o["Task"], o["Job"] = f.Job.Task, f.Job.Uuid
		if why := jobReason(f.Job); why != "" {
			o["Waiting"] = why
		}
	}
	return o
}

// jobReason is why a job does not move, or failed.
func jobReason(j *api.Job) string {
	if j.Waiting != "" {
		return j.Waiting
	}
	if len(j.ResultErrors) > 0 {
		return j.ResultErrors[len(j.ResultErrors)-1]
	}
	return ""
}

func memberRow(m *api.Machine) object {
	o := object{"Member": memberName(m), "Name": m.Name, "Uuid": m.Uuid, "Status": string(m.PoolStatus), "Workflow": m.Workflow, "At": taskAt(m), "Address": m.Address}
	if why := stuckReason(m); why != "" {
		o["Waiting"] = why
	}
	return o
}

// stuckReason is why a machine does not move, as far as it says so itself.
func stuckReason(m *api.Machine) string {
	switch {
	case m.Boot != nil && m.Boot.Error != "":
		return m.Boot.Error
	case m.PoolHoldReason != "":
		return m.PoolHoldReason
	case m.Boot != nil && !m.Boot.Home && m.Boot.Env != "":
		return "booting into " + m.Boot.Env
	case idle(m):
		return "stopped: failed or paused"
	}
	return ""
}

// idle says that nobody lets the machine go on; one that boots is not runnable
// until its agent calls home.
func idle(m *api.Machine) bool {
	return !m.Runnable && !m.WorkflowComplete && (m.Boot == nil || m.Boot.Home)
}

// taskAt is the entry of the task list that is due.
func taskAt(m *api.Machine) string {
	switch i := max(m.CurrentTask, 0); {
	case m.WorkflowComplete:
		return "complete"
	case i < len(m.Tasks):
		return m.Tasks[i]
	}
	return ""
}
