package redfish

import "strings"

// object is a JSON body. Schema versions are those the simulation follows.
type object map[string]any

func link(path string) object { return object{"@odata.id": path} }

func links(paths ...string) []object {
	list := make([]object, 0, len(paths))
	for _, p := range paths {
		list = append(list, link(p))
	}
	return list
}

func collection(path, schema string, members ...string) object {
	return object{
		"@odata.id":           root + "/" + path,
		"@odata.type":         "#" + schema + "." + schema,
		"Name":                strings.TrimSuffix(schema, "Collection") + " Collection",
		"Members":             links(members...),
		"Members@odata.count": len(members),
	}
}

func (s *Service) rootBody() object {
	return object{
		"@odata.id":      root + "/",
		"@odata.type":    "#ServiceRoot.v1_5_0.ServiceRoot",
		"Id":             "RootService",
		"Name":           "Simulated Redfish Service",
		"RedfishVersion": "1.6.0",
		"UUID":           s.cfg.System.UUID,
		"Systems":        link(root + "/Systems"),
		"Chassis":        link(root + "/Chassis"),
		"Managers":       link(root + "/Managers"),
		"SessionService": link(root + "/SessionService"),
		"Links":          object{"Sessions": link(root + "/SessionService/Sessions")},
	}
}

func (s *Service) odataBody() object {
	var list []object
	for _, name := range []string{"Systems", "Chassis", "Managers", "SessionService"} {
		list = append(list, object{"name": name, "kind": "Singleton", "url": root + "/" + name})
	}
	return object{"@odata.context": root + "/$metadata", "value": list}
}

func (s *Service) sessionServiceBody() object {
	return object{
		"@odata.id":      root + "/SessionService",
		"@odata.type":    "#SessionService.v1_1_6.SessionService",
		"Id":             "SessionService",
		"Name":           "Session Service",
		"ServiceEnabled": true,
		"SessionTimeout": int(s.cfg.SessionTimeout.Seconds()),
		"Sessions":       link(root + "/SessionService/Sessions"),
	}
}

func (s *Service) systemBody(on bool, boot Boot) object {
	path := s.systemPath()
	return object{
		"@odata.id":          path,
		"@odata.type":        "#ComputerSystem.v1_10_0.ComputerSystem",
		"Id":                 s.cfg.System.ID,
		"Name":               s.cfg.System.Name,
		"SystemType":         "Physical",
		"Manufacturer":       "Simulated",
		"Model":              "drpd-lab",
		"SerialNumber":       s.cfg.System.Name,
		"UUID":               s.cfg.System.UUID,
		"PowerState":         powerState(on),
		"Status":             object{"State": "Enabled", "Health": "OK"},
		"Boot":               s.bootBody(boot),
		"EthernetInterfaces": link(path + "/EthernetInterfaces"),
		"Links": object{
			"Chassis":   links(root + "/Chassis/1"),
			"ManagedBy": links(root + "/Managers/1"),
		},
		"Actions": object{"#ComputerSystem.Reset": object{
			"target":                            path + "/Actions/ComputerSystem.Reset",
			"ResetType@Redfish.AllowableValues": resetTypes(),
		}},
	}
}

func (s *Service) bootBody(boot Boot) object {
	return object{
		"BootSourceOverrideEnabled":                         boot.Enabled,
		"BootSourceOverrideEnabled@Redfish.AllowableValues": enabledValues(),
		"BootSourceOverrideTarget":                          boot.Target,
		"BootSourceOverrideTarget@Redfish.AllowableValues":  targetValues(),
		"BootSourceOverrideMode":                            s.mode(),
		"BootSourceOverrideMode@Redfish.AllowableValues":    []string{s.mode()},
	}
}

func (s *Service) mode() string {
	if s.cfg.System.UEFI {
		return "UEFI"
	}
	return "Legacy"
}

func (s *Service) portBody() object {
	return object{
		"@odata.id":           s.systemPath() + "/EthernetInterfaces/NIC1",
		"@odata.type":         "#EthernetInterface.v1_5_1.EthernetInterface",
		"Id":                  "NIC1",
		"Name":                "First network port",
		"MACAddress":          s.cfg.System.MAC,
		"PermanentMACAddress": s.cfg.System.MAC,
		"Status":              object{"State": "Enabled", "Health": "OK"},
	}
}

func (s *Service) chassisBody(on bool) object {
	return object{
		"@odata.id":    root + "/Chassis/1",
		"@odata.type":  "#Chassis.v1_11_0.Chassis",
		"Id":           "1",
		"Name":         s.cfg.System.Name,
		"ChassisType":  "RackMount",
		"Manufacturer": "Simulated",
		"SerialNumber": s.cfg.System.Name,
		"PowerState":   powerState(on),
		"Status":       object{"State": "Enabled", "Health": "OK"},
		"Links": object{
			"ComputerSystems": links(s.systemPath()),
			"ManagedBy":       links(root + "/Managers/1"),
		},
	}
}

func (s *Service) managerBody() object {
	return object{
		"@odata.id":       root + "/Managers/1",
		"@odata.type":     "#Manager.v1_8_0.Manager",
		"Id":              "1",
		"Name":            "Simulated management controller",
		"ManagerType":     "BMC",
		"FirmwareVersion": "1.0.0",
		"UUID":            s.cfg.System.UUID,
		"Status":          object{"State": "Enabled", "Health": "OK"},
		"Links": object{
			"ManagerForServers": links(s.systemPath()),
			"ManagerForChassis": links(root + "/Chassis/1"),
		},
	}
}

func powerState(on bool) string {
	if on {
		return "On"
	}
	return "Off"
}
