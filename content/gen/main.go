// Command gen writes the stages, params and workflows of the universal pack
// that differ only in their names, so that none of them is copied by hand:
//
//	go generate ./content
package main

import (
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// header marks what this command owns.
const header = "# Written by content/gen; change that and run go generate ./content.\n"

// flow is one universal workflow: a frame around its working stages.
type flow struct {
	name string // without "universal-"
	does string
	env  string   // boot environment of the first working stage, entered at once
	work []string // stages
	rest []string // stages for when no other workflow follows
	end  string   // the last stage
}

const (
	ends  = "complete"           // the machine boots from its disk
	stays = "complete-nobootenv" // it stays where it is
)

// flows lists the universal workflows.
func flows() []flow {
	const disc = "discovery"
	return []flow{
		{"discover", "Discovers a machine and leaves it free and switched off", disc, []string{"discover"}, []string{"idle"}, ends},
		{"hardware", "Configures a machine's hardware with what its vendor's tasks do", disc,
			[]string{"hardware-tools-install", "raid-tools-install", "ipmi-configure", "flash", "raid-configure", "bios-configure", "burnin", "certs"}, nil, stays},
		{"start", "Takes in what already runs: an installed system, a container or a cluster", "", []string{"start"}, nil, stays},
		{"linux-install", "Installs Linux from an image and boots it", disc, []string{"image-deploy", "os-online"}, nil, ends},
		{"image-deploy", "Writes an image to the disk and boots it", disc, []string{"image-deploy", "os-online"}, nil, ends},
		{"local", "Boots what is installed", "local", []string{"os-online"}, nil, ends},
		{"maintenance", "Sets maintenance mode, in which hardware work and the installed system follow", "", []string{"universal-maintenance-mode"}, nil, stays},
		{"rebuild", "Wipes a machine and installs it anew", disc, []string{"decommission", "image-deploy", "os-online"}, nil, ends},
		{"decommission", "Wipes a machine, verifies it and switches it off", disc, []string{"decommission"}, []string{"idle"}, ends},
		{"baseline", "Records a machine's inventory as it is now", disc, []string{"discover"}, nil, stays},
		{"burnin", "Runs the burn-in tasks of a machine", disc, []string{"burnin"}, nil, stays},
		{"runbook", "Runs the tasks of a site's own", "", []string{"universal-runbook-during-flexiflow"}, nil, stays},
		{"bootstrap", "Prepares a server or site with tasks of its own", "", []string{"bootstrap"}, nil, stays},
		{"evaluate", "Looks at a machine again without changing it", disc, []string{"discover"}, nil, stays},
		{"complete", "Ends a chain of workflows", "", nil, nil, stays},
		{"sledgehammer-wait", "Boots a machine into discovery, where it waits", disc, []string{"sledgehammer-wait"}, nil, stays},
		{"cluster-provision", "Brings a cluster from its definition into service", "", []string{"cluster-provision", "cluster-application"}, nil, stays},
		{"cluster-destroy", "Takes a cluster out of service; its definition stays", "", []string{"cluster-destroy"}, nil, stays},
	}
}

// points are working stages that do only what a site's tasks say: their work
// needs tools of a vendor's.
func points() map[string]string {
	return map[string]string{
		"hardware-tools-install": "Installs the vendor's tools", "raid-tools-install": "Installs the tools of the RAID controller",
		"ipmi-configure": "Configures the BMC", "flash": "Updates firmware", "raid-configure": "Configures RAID volumes",
		"bios-configure": "Configures the firmware's settings", "burnin": "Tests the machine under load", "certs": "Installs certificates",
		"bootstrap": "Prepares a server or site",
	}
}

// defaults are those of the generated lists that are not empty.
func defaults() map[string][]string {
	return map[string][]string{"universal/discover-classification-list": {"universal-discover-classification-base"}}
}

// object is one file's content.
type object map[string]any

func main() {
	list, err := files()
	for name, text := range list {
		if err == nil {
			err = os.WriteFile(filepath.Join("universal", name), text, 0o644)
		}
	}
	if err != nil {
		log.Fatal(err)
	}
}

// files are the generated ones by path below the pack's folder.
func files() (map[string][]byte, error) {
	out := map[string]object{}
	for _, f := range flows() {
		f.write(out)
	}
	for _, name := range slices.Sorted(maps.Keys(points())) {
		does := points()[name]
		stage(out, name, does+", by the tasks in param "+name+"/task-list", flexi(name+"/task-list"), "flexiflow-start", "flexiflow-stop")
		listParam(out, name+"/task-list", "Tasks of stage "+name, "They run in the given order; each layer of profiles may add to them.")
	}
	text := map[string][]byte{}
	for path, o := range out {
		data, err := yaml.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", path, err)
		}
		text[path] = append([]byte(header), data...)
	}
	return text, nil
}

func flexi(list string) object { return object{"flexiflow/list-parameter": list} }

// write adds a workflow with the stages and params of its frame.
func (f flow) write(out map[string]object) {
	w, list := "universal-"+f.name, "universal/"+f.name
	at := func(part string) string { return w + "-" + part }
	stage(out, at("start-callback"), "Tells a service outside that "+w+" begins",
		object{"callback/action": w + "-start", "callback/event": true, "universal/skip-list-parameter": list + "-skip-list"}, "universal-skip", "callback")
	if f.env != "" {
		out["stages/"+at("start-callback")+".yaml"]["BootEnv"] = f.env
	}
	stage(out, at("pre-classification"), "Classifies before the work of "+w, object{"classify/stage-list-parameter": list + "-pre-classification-list"},
		"classify-stage-list-start", "classify-stage-list-stop")
	stage(out, at("pre-flexiflow"), "Tasks of a site before the work of "+w, flexi(list+"-pre-flexiflow"), "flexiflow-start", "flexiflow-stop")
	stage(out, at("post-flexiflow"), "Tasks of a site after the work of "+w, flexi(list+"-post-flexiflow"), "flexiflow-start", "flexiflow-stop")
	stage(out, at("classification"), "Classifies after the work of "+w, object{"classify/stage-list-parameter": list + "-classification-list"},
		"classify-stage-list-start", "classify-stage-list-stop")
	stage(out, at("post-validation"), "Checks what "+w+" did", object{"validation/list-parameter": list + "-post-validation"}, "validation-start", "validation-stop")
	stage(out, at("complete-callback"), "Tells a service outside that "+w+" is complete", object{"callback/action": w + "-complete", "callback/event": true}, "callback")
	if during := at("during-flexiflow"); slices.Contains(f.work, during) {
		stage(out, during, "Tasks of a site that are the work of "+w, flexi(list+"-during-flexiflow"), "flexiflow-start", "flexiflow-stop")
		listParam(out, list+"-during-flexiflow", "Tasks that "+w+" consists of", "Entries of a task list, run in order.")
	}
	listParam(out, list+"-pre-classification-list", "Classifiers before the work of "+w, "Names of stages with classification data; each becomes the stage and task classify.")
	listParam(out, list+"-classification-list", "Classifiers after the work of "+w, "Names of stages with classification data; each becomes the stage and task classify.")
	listParam(out, list+"-pre-flexiflow", "Tasks before the work of "+w, "Entries of a task list; each layer of profiles may add to them.")
	listParam(out, list+"-post-flexiflow", "Tasks after the work of "+w, "Entries of a task list; each layer of profiles may add to them.")
	listParam(out, list+"-post-validation", "Checks at the end of "+w, "Tasks that add what they find wrong to param validation/errors.")
	listParam(out, list+"-skip-list", "Stages that "+w+" leaves out", "Names of stages of the workflow.")
	out["workflows/"+w+".yaml"] = object{"Name": w, "Description": f.does, "Stages": slices.Concat(
		[]string{at("start-callback"), at("pre-classification"), at("pre-flexiflow")}, f.work,
		[]string{at("post-flexiflow"), at("classification"), at("post-validation"), at("complete-callback"), "universal-chain-workflow"},
		f.rest, []string{f.end})}
}

func stage(out map[string]object, name, does string, params object, tasks ...string) {
	out["stages/"+name+".yaml"] = object{"Name": name, "Description": does, "Params": params, "Tasks": tasks}
}

func listParam(out map[string]object, name, does, more string) {
	def := defaults()[name]
	if def == nil {
		def = []string{}
	}
	out["params/"+strings.ReplaceAll(name, "/", "_")+".yaml"] = object{"Name": name, "Description": does, "Documentation": more,
		"Schema": object{"type": "array", "items": object{"type": "string"}, "default": def}}
}
