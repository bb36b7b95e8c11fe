package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/stmcginnis/gofish/redfish"
)

// bootFacts is what gofish does not keep of a system's boot settings.
type bootFacts struct {
	Boot struct {
		Allowed []redfish.BootSourceOverrideTarget `json:"BootSourceOverrideTarget@Redfish.AllowableValues"`
	}
	Settings *struct{} `json:"@Redfish.Settings"`
}

func bootTarget(device Device) redfish.BootSourceOverrideTarget {
	switch device {
	case DevicePXE:
		return redfish.PxeBootSourceOverrideTarget
	case DeviceCDROM:
		return redfish.CdBootSourceOverrideTarget
	case DeviceHTTP:
		return redfish.UefiHTTPBootSourceOverrideTarget
	}
	return redfish.HddBootSourceOverrideTarget
}

// bootOnce sends the three settings it means and nothing else. bmclib sends the
// whole boot object back and always a mode, Legacy if not UEFI, which on some
// controllers rewrites the firmware mode of the machine for good.
func (l *redfishLink) bootOnce(ctx context.Context, device Device, uefi bool) error {
	op := "boot once from " + string(device)
	target := bootTarget(device)
	later := false
	err := l.call(ctx, op, func() (err error) {
		later, err = l.setBoot(target, uefi, op)
		return err
	})
	if err != nil || later {
		return err
	}
	return l.verifyBoot(ctx, op, target)
}

// setBoot returns later if the system applies settings at its next start, so that
// they cannot be read back now.
func (l *redfishLink) setBoot(target redfish.BootSourceOverrideTarget, uefi bool, op string) (later bool, err error) {
	system, err := redfish.GetComputerSystem(l.api, l.system)
	if err != nil {
		return false, err
	}
	var facts bootFacts
	if err := json.Unmarshal(system.RawData, &facts); err != nil {
		return false, fmt.Errorf("read boot settings: %w", err)
	}
	if allowed := facts.Boot.Allowed; len(allowed) > 0 && !slices.Contains(allowed, target) {
		return false, l.report.fail(ClassUnsupported, op, "choose another boot device",
			fmt.Errorf("the system allows %.200q, not %q", allowed, target))
	}
	boot := redfish.Boot{BootSourceOverrideTarget: target, BootSourceOverrideEnabled: redfish.OnceBootSourceOverrideEnabled}
	if uefi && system.Boot.BootSourceOverrideMode != redfish.UEFIBootSourceOverrideMode {
		boot.BootSourceOverrideMode = redfish.UEFIBootSourceOverrideMode
	}
	return facts.Settings != nil, system.SetBoot(boot)
}

// verifyBoot reads the setting back; some controllers answer 204 and ignore it.
// Any state but Disabled will do, for "Once" is reported as "Continuous" by some.
func (l *redfishLink) verifyBoot(ctx context.Context, op string, target redfish.BootSourceOverrideTarget) error {
	return l.report.until(ctx, proof{
		op: op, wanted: op, cure: "choose another boot device",
		within: l.times.Verify, every: l.times.Poll,
		read: func(ctx context.Context) (done bool, seen string, err error) {
			err = l.call(ctx, op, func() error {
				system, err := redfish.GetComputerSystem(l.api, l.system)
				if err != nil {
					return err
				}
				boot := system.Boot
				seen = fmt.Sprintf("%s %s", boot.BootSourceOverrideEnabled, boot.BootSourceOverrideTarget)
				done = boot.BootSourceOverrideTarget == target &&
					boot.BootSourceOverrideEnabled != redfish.DisabledBootSourceOverrideEnabled
				return nil
			})
			return done, seen, err
		},
	})
}
