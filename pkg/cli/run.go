package cli

import (
	"fmt"
	"strings"
	"time"

	"drpd/pkg/api"
)

// phase is one stage of a task list and how far it is.
type phase struct {
	Name        string
	Done, Total int
}

// phasesOf splits a task list into its stages. current is the cursor.
func phasesOf(tasks []string, current int) []phase {
	var out []phase
	for i, entry := range tasks {
		verb, arg := api.Entry(entry)
		if verb == "stage" {
			out = append(out, phase{Name: arg})
		}
		if len(out) == 0 {
			out = append(out, phase{Name: "start"})
		}
		p := &out[len(out)-1]
		p.Total++
		if i < current {
			p.Done++
		}
	}
	return out
}

func (p phase) over() bool { return p.Done == p.Total }

// now is the phase at work: the first that is not over.
func now(list []phase) string {
	for _, p := range list {
		if !p.over() {
			return p.Name
		}
	}
	return ""
}

// runView is one look at a cluster's run.
type runView struct {
	clusterFacts
	Flow string
	// Tasks is the list of the run: the cluster forgets it when it goes into
	// service.
	Tasks []string
}

func (v runView) phases() []phase {
	if v.Cluster.WorkflowComplete {
		return phasesOf(v.Tasks, len(v.Tasks))
	}
	return phasesOf(v.Tasks, v.Cluster.CurrentTask)
}

// task is the entry at work.
func (v runView) task() string { return taskAt(v.Cluster) }

// marks draw progress; the plain ones are for terminals without UTF-8.
type marks struct{ full, rest, failed, running, done string }

func marksFor(env map[string]string) marks {
	for _, k := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if env[k] != "" {
			if l := strings.ToLower(env[k]); strings.Contains(l, "utf-8") || strings.Contains(l, "utf8") {
				return marks{"━", "─", "!", "▸", "✓"}
			}
			break
		}
	}
	return marks{"#", "-", "!", ">", "+"}
}

const barWidth = 20

// draw is the view for a terminal: phases first, then members that do not
// move, then those that do, the rest as a count. No line is wider than width.
func (v runView) draw(m marks, width, height int, since time.Duration) []string {
	out := []string{fmt.Sprintf("%s  %s  %s  %d/%d members in service", v.Cluster.Name, short(v.Flow), v.state(), v.ready(), len(v.Members))}
	at := now(v.phases())
	for _, p := range v.phases() {
		n := barWidth
		if p.Total > 0 {
			n = barWidth * p.Done / p.Total
		}
		line := fmt.Sprintf("  %-18.18s %s%s  %d/%d", p.Name, strings.Repeat(m.full, n), strings.Repeat(m.rest, barWidth-n), p.Done, p.Total)
		if p.Name == at {
			line += "  " + v.task()
			if v.Job != nil && jobReason(v.Job) != "" {
				line += ": " + jobReason(v.Job)
			}
		}
		out = append(out, line)
	}
	out = append(out, v.drawMembers(m, max(height-len(out)-2, 3))...)
	out = append(out, fmt.Sprintf("%s  Ctrl-C stops watching, not the run", ago(since)))
	for i := range out {
		out[i] = pad(strings.ReplaceAll(plain(out[i]), "\n", " "), width-1)
		out[i] = strings.TrimRight(out[i], " ")
	}
	return out
}

func (v runView) drawMembers(mk marks, room int) []string {
	var bad, busy []string
	done := 0
	for _, m := range v.Members {
		line := fmt.Sprintf("%-16s %-10s %-24s %s", memberName(m), m.PoolStatus, taskAt(m), stuckReason(m))
		switch {
		case m.Boot != nil && m.Boot.Error != "" || m.PoolHoldReason != "" || idle(m):
			bad = append(bad, "  "+mk.failed+" "+line)
		case m.PoolStatus == api.InUse && m.WorkflowComplete:
			done++
		default:
			busy = append(busy, "  "+mk.running+" "+line)
		}
	}
	out := append(bad, busy...)
	if len(out) > room {
		more := len(out) - room + 1
		out = append(out[:room-1], fmt.Sprintf("    and %d more", more))
	}
	if done > 0 {
		out = append(out, fmt.Sprintf("  %s %d members in service", mk.done, done))
	}
	return out
}

// changes are the lines that tell what happened between two looks.
func (v runView) changes(old *runView) []string {
	var out []string
	name := "cluster=" + v.Cluster.Name
	if old == nil {
		out = append(out, fmt.Sprintf("%s workflow=%s state=%s tasks=%d", name, v.Flow, v.state(), len(v.Tasks)))
	}
	was := map[string]int{}
	seen := map[string]string{}
	reason := ""
	if old != nil {
		for _, p := range old.phases() {
			was[p.Name] = p.Done
		}
		for _, m := range old.Members {
			seen[m.Uuid] = memberLine(m)
		}
		reason = jobLine(old.Job)
	}
	for _, p := range v.phases() {
		switch {
		case p.Done == was[p.Name]:
		case p.over():
			out = append(out, fmt.Sprintf("%s phase=%s state=done", name, p.Name))
		case was[p.Name] == 0:
			out = append(out, fmt.Sprintf("%s phase=%s state=started tasks=%d", name, p.Name, p.Total))
		}
	}
	if l := jobLine(v.Job); l != reason && l != "" {
		out = append(out, name+" "+l)
	}
	for _, m := range v.Members {
		if l := memberLine(m); l != seen[m.Uuid] {
			out = append(out, name+" "+l)
		}
	}
	if old != nil && v.state() != old.state() {
		out = append(out, fmt.Sprintf("%s state=%s ready=%d/%d", name, v.state(), v.ready(), len(v.Members)))
	}
	return out
}

func jobLine(j *api.Job) string {
	if j == nil {
		return ""
	}
	l := fmt.Sprintf("task=%s state=%s", j.Task, j.State)
	if why := jobReason(j); why != "" {
		l += fmt.Sprintf(" waiting=%q", why)
	}
	return l
}

func memberLine(m *api.Machine) string {
	l := fmt.Sprintf("machine=%s status=%s stage=%s task=%s", memberName(m), m.PoolStatus, m.Stage, taskAt(m))
	if why := stuckReason(m); why != "" {
		l += fmt.Sprintf(" waiting=%q", why)
	}
	return l
}
