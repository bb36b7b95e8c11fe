package rest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
)

// TestMachinesAreRefusedWhatTheyCannotRun: with DRP's words, for what a machine
// newly gets; what it has may go away.
func TestMachinesAreRefusedWhatTheyCannotRun(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.put(t, func(tx *resource.Tx) error {
		for _, err := range []error{
			api.Tasks.Create(tx, &api.Task{Name: "t"}),
			api.Stages.Create(tx, &api.Stage{Name: "good"}),
			api.Stages.Create(tx, &api.Stage{Name: "bad", Tasks: []string{"absent"}}),
			api.BootEnvs.Create(tx, &api.BootEnv{Name: "env", Kernel: "vmlinuz"}),
			api.Workflows.Create(tx, &api.Workflow{Name: "wf", Stages: []string{"bad"}}),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	stage := "Machine " + id1 + ` wants Stage bad, which is not available: task \"absent\" does not exist`
	flow := "Machine " + id1 + ` wants Workflow wf, which is not available: stage \"bad\" is not available`
	const env = "BootEnv env is not available: "
	for name, c := range map[string]struct {
		body, says string
	}{
		"task":     {`"Tasks":["t","foo"]`, "Task foo (at 1) does not exist"},
		"stage":    {`"Tasks":["stage:gone"]`, "Stage gone (at 0) does not exist"},
		"bootenv":  {`"Tasks":["bootenv:gone"]`, "BootEnv gone (at 0) does not exist"},
		"Stage":    {`"Stage":"bad"`, stage},
		"Workflow": {`"Workflow":"wf"`, flow},
		"BootEnv":  {`"BootEnv":"env"`, env},
	} {
		whole := `{"Uuid":"` + id1 + `","Name":"m",` + c.body + `}`
		got := r.do(t, "POST", "/machines", whole)
		assert.Equal(t, 422, got.status, name)
		assert.Contains(t, got.body, c.says, name)
		assert.Contains(t, got.body, `"Type":"ValidationError"`, name)
		made := r.do(t, "POST", "/machines?force=true", whole)
		assert.Equal(t, 201, made.status, "%s by force: %s", name, made.body)
		assert.Equal(t, 200, r.do(t, "DELETE", "/machines/"+id1, "").status)
	}
	require.Equal(t, 201, r.do(t, "POST", "/machines", `{"Uuid":"`+id1+`","Name":"m","Tasks":["t"],"Stage":"good"}`).status)
	for name, c := range map[string]struct {
		patch, says string
		status      int
	}{
		"task":          {set("/Tasks/-", `"foo"`), "Task foo (at ", 422},
		"stage":         {set("/Stage", `"bad"`), stage, 422},
		"workflow":      {set("/Workflow", `"wf"`), flow, 422},
		"bootenv":       {set("/BootEnv", `"env"`), env, 422},
		"no task":       {set("/Tasks/-", `"action:any"`), "", 200},
		"another field": {set("/Description", `"x"`), "", 200},
	} {
		got := r.do(t, "PATCH", "/machines/"+id1, c.patch)
		assert.Equal(t, c.status, got.status, "%s: %s", name, got.body)
		assert.Contains(t, got.body, c.says, name)
	}
	require.Equal(t, 200, r.do(t, "PATCH", "/stages/good", set("/Tasks", `["absent"]`)).status)
	require.Equal(t, 200, r.do(t, "DELETE", "/tasks/t", "").status)
	got := r.do(t, "PATCH", "/machines/"+id1, set("/Description", `"y"`))
	require.Equal(t, 200, got.status, got.body)
	assert.Contains(t, got.body, `"Available":false,"Errors":["stage \"good\" is not available"]`)
}

// set is a patch that adds one value.
func set(path, value string) string {
	return `[{"op":"add","path":"` + path + `","value":` + value + `}]`
}

// TestTheServersOwn: what the server keeps for itself nobody else writes.
func TestTheServersOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.put(t, func(tx *resource.Tx) error {
		if err := engine.Waits.Create(tx, &engine.Wait{Id: "w"}); err != nil {
			return err
		}
		if err := api.BMCActions.Create(tx, &api.BMCAction{Uuid: "w"}); err != nil {
			return err
		}
		return api.BootRecords.Create(tx, &api.BootRecord{Mac: "w"})
	})
	for _, kind := range []string{"waits", "boot_records", "bmc_actions"} {
		for _, c := range []struct{ method, path, body string }{
			{"POST", "", `{"Id":"x"}`},
			{"PUT", "/w", `{"Id":"w"}`},
			{"PATCH", "/w", set("/Waiting", `"x"`)},
			{"DELETE", "/w", ""},
		} {
			got := r.do(t, c.method, "/"+kind+c.path, c.body)
			assert.Equal(t, 403, got.status, "%s %s: %s", c.method, kind, got.body)
			assert.Contains(t, got.body, kind+" are the server's own", c.method)
		}
		assert.Equal(t, 200, r.do(t, "GET", "/"+kind+"/w", "").status, kind)
	}
}

// TestWhatIsNotServedNamesTheCure for routes that Digital Rebar has.
func TestWhatIsNotServedNamesTheCure(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for path, cure := range map[string]string{"/system/upgrade": "replace the program", "/system/cert": "--tls-cert", "/static/cert": "--tls-cert"} {
		got := r.do(t, "POST", path, "{}")
		assert.Equal(t, 404, got.status, path)
		assert.Contains(t, got.body, cure, path)
	}
}
