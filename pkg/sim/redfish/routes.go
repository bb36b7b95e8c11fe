package redfish

import (
	"net/http"
	"slices"
	"strings"
)

const root = "/redfish/v1"

func (s *Service) systemPath() string { return root + "/Systems/" + s.cfg.System.ID }

// register is the table of all addresses.
func (s *Service) register() {
	system := s.systemPath()
	s.add("/redfish", http.MethodGet, s.fixed(object{"v1": root + "/"}), true)
	s.add(root, http.MethodGet, s.fixed(s.rootBody()), true)
	s.add(root+"/odata", http.MethodGet, s.fixed(s.odataBody()), true)
	s.add(root+"/SessionService", http.MethodGet, s.fixed(s.sessionServiceBody()), false)
	s.addMethods(root+"/SessionService/Sessions", []string{http.MethodPost}, map[string]http.HandlerFunc{
		http.MethodGet: s.listSessions, http.MethodPost: s.createSession,
	})
	s.addMethods(root+"/SessionService/Sessions/{id}", nil, map[string]http.HandlerFunc{
		http.MethodGet: s.getSession, http.MethodDelete: s.deleteSession,
	})
	s.add(root+"/Systems", http.MethodGet, s.fixed(collection("Systems", "ComputerSystemCollection", system)), false)
	s.addMethods(system, nil, map[string]http.HandlerFunc{
		http.MethodGet: s.getSystem, http.MethodPatch: s.patchSystem,
	})
	s.add(system+"/Actions/ComputerSystem.Reset", http.MethodPost, s.resetSystem, false)
	ports := system + "/EthernetInterfaces"
	s.add(ports, http.MethodGet, s.fixed(collection("Systems/"+s.cfg.System.ID+"/EthernetInterfaces", "EthernetInterfaceCollection", ports+"/NIC1")), false)
	s.add(ports+"/NIC1", http.MethodGet, s.fixed(s.portBody()), false)
	s.add(root+"/Chassis", http.MethodGet, s.fixed(collection("Chassis", "ChassisCollection", root+"/Chassis/1")), false)
	s.add(root+"/Chassis/1", http.MethodGet, s.getChassis, false)
	s.add(root+"/Managers", http.MethodGet, s.fixed(collection("Managers", "ManagerCollection", root+"/Managers/1")), false)
	s.add(root+"/Managers/1", http.MethodGet, s.fixed(s.managerBody()), false)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, resourceMissing(r.URL.Path))
	})
}

func (s *Service) add(path, method string, handle http.HandlerFunc, open bool) {
	var openTo []string
	if open {
		openTo = []string{method}
	}
	s.addMethods(path, openTo, map[string]http.HandlerFunc{method: handle})
}

func (s *Service) addMethods(path string, open []string, methods map[string]http.HandlerFunc) {
	s.mux.Handle(path, resource{service: s, open: open, methods: methods})
}

// allow is the value of the Allow header.
func (res resource) allow() string {
	var methods []string
	for m := range res.methods {
		methods = append(methods, m)
		if m == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// fixed answers with a body that never changes.
func (s *Service) fixed(body object) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { send(w, r, body) }
}
