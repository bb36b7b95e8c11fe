// Command ring is a plugin provider made with Digital Rebar's unmodified kit:
// it proves that drpd runs such programs. It rings bells on machines.
package main

import (
	"fmt"
	"os"
	"path"
	"sync"

	"github.com/digitalrebar/logger"
	"github.com/digitalrebar/provision/v4/api"
	"github.com/digitalrebar/provision/v4/models"
	"github.com/digitalrebar/provision/v4/plugin"
)

// content is the pack that the provider brings.
const content = `
meta: {Name: anything, Color: gold, Icon: bell}
sections:
  params:
    ring/volume: {Schema: {type: integer, default: 3}}
    ring/tone: {Schema: {type: string}}
  tasks:
    ring-bell:
      RequiredParams: [ring/tone]
      Templates: [{Name: ring, Contents: "echo {{.Param \"ring/tone\"}}"}]
`

var def = models.PluginProvider{
	Name: "ring", Version: "v1.2.3", PluginVersion: 4, HasPublish: true, Content: content,
	RequiredParams: []string{"ring/tone"}, OptionalParams: []string{"ring/volume"},
	AvailableActions: []models.AvailableAction{
		{Command: "ring", Model: "machines", RequiredParams: []string{"ring/tone"}, OptionalParams: []string{"ring/volume"}},
		{Command: "jam", Model: "machines"},
		{Command: "heard", Model: "system"},
		{Command: "tune"},
	},
	StoreObjects: map[string]interface{}{"bells": map[string]interface{}{}, "towers": map[string]interface{}{
		"type": "object", "required": []string{"Height"}, "properties": map[string]interface{}{"Height": map[string]interface{}{"type": "integer"}}}},
}

// ringer is the plugin.
type ringer struct {
	mu      sync.Mutex // guards below
	session *api.Client
	tone    string
	heard   map[string]bool // names of machines that events told of
}

// Config takes the params of the plugin's object.
func (r *ringer) Config(_ logger.Logger, session *api.Client, params map[string]interface{}) *models.Error {
	r.mu.Lock()
	defer r.mu.Unlock()
	tone, _ := params["ring/tone"].(string)
	if tone == "sour" {
		return &models.Error{Code: 400, Model: "plugins", Key: "ring", Type: "plugin", Messages: []string{"no bell has the tone sour"}}
	}
	r.session, r.tone = session, tone
	return nil
}

// Publish hears of machines.
func (r *ringer) Publish(_ logger.Logger, e *models.Event) *models.Error {
	if m, ok := e.Object.(map[string]interface{}); ok && e.Type == "machines" {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.heard[fmt.Sprint(m["Name"])] = true
	}
	return nil
}

// Action carries out one of the actions.
func (r *ringer) Action(l logger.Logger, a *models.Action) (interface{}, *models.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.Infof("action %s", a.Command)
	switch a.Command {
	case "ring":
		m, _ := a.Model.(map[string]interface{})
		machine := &models.Machine{}
		if err := r.session.FillModel(machine, fmt.Sprint(m["Uuid"])); err != nil {
			return nil, models.NewError("ring", 500, err.Error())
		}
		plugin.Publish("bells", "rung", machine.Name, a.Params)
		return fmt.Sprintf("%s rings %v at volume %v", machine.Name, a.Params["ring/tone"], a.Params["ring/volume"]), nil
	case "jam":
		return nil, &models.Error{Code: 409, Model: "bells", Key: "big", Type: "ring", Messages: []string{"the clapper is stuck", "oil it"}}
	case "heard":
		return r.heard, nil
	case "tune":
		return r.tone, nil
	}
	return nil, models.NewError("ring", 404, "no action "+a.Command)
}

// Unpack brings a file.
func (r *ringer) Unpack(_ logger.Logger, dir string) error {
	return os.WriteFile(path.Join(dir, "bell.txt"), []byte("ding\n"), 0o644)
}

func main() {
	plugin.InitApp("ring", "Rings bells on machines", def.Version, &def, &ringer{heard: map[string]bool{}})
	if plugin.App.Execute() != nil {
		os.Exit(1)
	}
}
