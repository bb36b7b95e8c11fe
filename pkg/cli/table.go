package cli

import (
	"strings"
	"time"
	"unicode/utf8"
)

// column is one column of a table: its heading and the path of its value.
// Columns with a rank are dropped when the terminal is too narrow, highest
// rank first; wide ones show only with -o wide.
type column struct {
	Head, Path string
	Drop       int
	Wide       bool
}

// cols parses "Head=Path:rank" words; a rank of w is for wide output only.
func cols(spec string) []column {
	var out []column
	for w := range strings.FieldsSeq(spec) {
		c := column{}
		w, rank, _ := strings.Cut(w, ":")
		c.Head, c.Path = w, w
		if h, p, ok := strings.Cut(w, "="); ok {
			c.Head, c.Path = h, p
		}
		switch rank {
		case "":
		case "w":
			c.Wide = true
		default:
			c.Drop = int(rank[0] - '0')
		}
		out = append(out, c)
	}
	return out
}

// tables are the columns of each kind.
func tableSpec(kind string) string {
	switch kind {
	case "machines":
		return "Name Pool:3 Status=PoolStatus Workflow Stage Env=BootEnv:4 Runnable:2 Complete=WorkflowComplete:2 Orders=WorkOrderMode:5 Address:1 Error=Boot.Error:6 Uuid:w MACs=HardwareAddrs:w Owner:w OS:w Arch:w"
	case "clusters":
		return "Name State Members Workflow Stage:3 Runnable:4 Orders=WorkOrderMode:2 Gen=Generation:3 Protected:1 Uuid:w"
	case "cluster members":
		return "Member Name Status Workflow:2 At Address:3 Waiting:1 Uuid:w"
	case "resource_brokers":
		return "Name Workflow Stage:2 Runnable Orders=WorkOrderMode Uuid:w"
	case "jobs":
		return "Uuid Machine:4 Task Stage:2 State ExitState:3 Started=StartTime:1 Ended=EndTime:2 Waiting:1 WorkOrder:w Workflow:w"
	case "work_orders":
		return "Uuid Blueprint Machine:3 Filter:4 State Status:1 Created=CreateTime:2 Ended=EndTime:2 Job=CurrentJob:w"
	case "subnets":
		return "Name Subnet Enabled Start=ActiveStart:2 End=ActiveEnd:2 NextServer:3 Proxy:4 Strategy:w"
	case "reservations":
		return "Addr Token Subnet:2 NextServer:3 Strategy:w"
	case "leases":
		return "Addr Token State ExpireTime:1 Via:2 Strategy:w"
	case "bootenvs":
		return "Name Available OS=OS.Name:2 Iso=OS.IsoFile:3 OnlyUnknown:4 Errors:1"
	case "workflows":
		return "Name Stages Available:2 Bundle:w"
	case "stages":
		return "Name BootEnv:2 Tasks:1 Available:3 Bundle:w"
	case "grants":
		return "Name Fields Params:1 Description:2 Bundle:w"
	case "tasks", "blueprints":
		return "Name Available Description:1 Bundle:w"
	case "templates":
		return "ID Description:1 Bundle:w"
	case "profiles":
		return "Name Profiles:2 Description:1 Bundle:w"
	case "params":
		return "Name Secure Description:1 Bundle:w"
	case "users":
		return "Name Roles Description:1"
	case "roles":
		return "Name Description:1 Claims:2"
	case "pools":
		return "Id Parent=ParentPool Description:1"
	case "pool results":
		return "Name Status Allocated Uuid:2"
	case "triggers":
		return "Name Enabled Provider=TriggerProvider Blueprint Filter:2 Description:1"
	case "batches":
		return "Uuid Id:1 State Status:1 Started=StartTime:2 Ended=EndTime:2"
	case "interfaces":
		return "Name Index:2 Addresses ActiveAddress:1 Gateway:2"
	case "files", "isos":
		return "Path Size SHA256:1"
	case "actions":
		return "Command Provider:1 Description RequiredParams:2"
	case "contents":
		return "Name=meta.Name Version=meta.Version Type=meta.Type:2 Description=meta.Description:1"
	case "bmc_actions":
		return "Uuid:3 Machine Want State Tries Error:1 NextTry:2 Ended:2"
	case "waits":
		return "Object Rule:2 Waiting Since Until:1 Tries:2 LastError:1"
	case "stuck":
		return "Kind Name What Since:1 Fix:2"
	case "params of":
		return "Name Value"
	case "sites":
		return "Name Endpoint User Production:1 Current"
	}
	return ""
}

// columnsOf are those asked for, those of the kind, or all plain fields.
func (s *session) columnsOf(kind string, rows []any) []column {
	if s.flags.fields != "" {
		var out []column
		for f := range strings.SplitSeq(s.flags.fields, ",") {
			f = strings.TrimSpace(f)
			out = append(out, column{Head: f, Path: f})
		}
		return out
	}
	if spec := tableSpec(kind); spec != "" {
		var out []column
		for _, c := range cols(spec) {
			if !c.Wide || s.formatOf() == "wide" {
				out = append(out, c)
			}
		}
		return out
	}
	if kind != "" {
		return cols("Name Id:1 Available:2 Description:1 Bundle:w")
	}
	if len(rows) == 0 {
		return []column{{Head: "Name", Path: "Name"}}
	}
	var out []column
	if m, ok := rows[0].(map[string]any); !ok {
		out = append(out, column{Head: "Value", Path: "."})
	} else {
		for _, k := range sortedKeys(m) {
			out = append(out, column{Head: k, Path: k})
		}
	}
	return out
}

// drawTable fits the table into the terminal by dropping columns; elsewhere
// nothing is cut.
func (s *session) drawTable(columns []column, rows []any) error {
	cells := make([][]string, len(rows))
	for i, r := range rows {
		cells[i] = make([]string, len(columns))
		for j, c := range columns {
			if cells[i][j] = cell(field(r, c.Path)); c.Path == "." {
				cells[i][j] = cell(r)
			}
			if n := s.flags.truncate; n > 0 && s.flags.fields != "" {
				cells[i][j] = strings.TrimRight(pad(cells[i][j], n), " ")
			}
		}
	}
	keep, widths := s.fit(columns, cells)
	if !s.flags.noHeader {
		heads := make([]string, len(columns))
		for j, c := range columns {
			heads[j] = c.Head
		}
		if err := s.row(heads, keep, widths); err != nil {
			return err
		}
	}
	for _, r := range cells {
		if err := s.row(r, keep, widths); err != nil {
			return err
		}
	}
	return nil
}

// cell is a value on one line; times are to the second, zero ones empty.
func cell(v any) string {
	t := strings.ReplaceAll(plain(text(v)), "\n", " ")
	if at, err := time.Parse(time.RFC3339Nano, t); err == nil {
		if at.IsZero() {
			return ""
		}
		return at.UTC().Format(time.RFC3339)
	}
	return strings.ReplaceAll(t, "\t", " ")
}

// fit returns the columns to show and the width of each.
func (s *session) fit(columns []column, cells [][]string) (keep []int, widths []int) {
	widths = make([]int, len(columns))
	for j, c := range columns {
		widths[j] = utf8.RuneCountInString(c.Head)
		for _, r := range cells {
			widths[j] = max(widths[j], utf8.RuneCountInString(r[j]))
		}
		keep = append(keep, j)
	}
	if !s.outTTY || s.formatOf() == "wide" {
		return keep, widths
	}
	for total(keep, widths) > s.width {
		worst := -1
		for i, j := range keep {
			if columns[j].Drop > 0 && (worst < 0 || columns[j].Drop > columns[keep[worst]].Drop) {
				worst = i
			}
		}
		if worst < 0 {
			break
		}
		keep = append(keep[:worst], keep[worst+1:]...)
	}
	shrink(keep, widths, s.width)
	return keep, widths
}

// shrink cuts the widest columns until the row fits.
func shrink(keep, widths []int, width int) {
	for total(keep, widths) > width {
		widest := keep[0]
		for _, j := range keep {
			if widths[j] > widths[widest] {
				widest = j
			}
		}
		if widths[widest] <= 8 {
			return
		}
		widths[widest]--
	}
}

func total(keep, widths []int) int {
	n := -2
	for _, j := range keep {
		n += widths[j] + 2
	}
	return n
}

func (s *session) row(cells []string, keep, widths []int) error {
	var b strings.Builder
	for i, j := range keep {
		if i > 0 {
			b.WriteString("  ")
		}
		b.WriteString(pad(cells[j], widths[j]))
	}
	return s.line("%s", strings.TrimRight(b.String(), " "))
}

// pad makes text exactly n characters wide.
func pad(t string, n int) string {
	have := utf8.RuneCountInString(t)
	if have <= n {
		return t + strings.Repeat(" ", n-have)
	}
	r := []rune(t)
	return string(r[:max(n-1, 0)]) + "~"
}
