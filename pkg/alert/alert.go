// Package alert keeps what a person should know of: the same thing again
// counts up, and needs to be acknowledged again.
package alert

import (
	"time"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Raise tells that something happened. An alert of that name that nobody has
// acknowledged counts up; else it is a new one.
func Raise(tx *resource.Tx, now time.Time, level api.AlertLevel, name, contents string) error {
	if a := Open(tx, name); a != nil {
		return api.Alerts.Modify(tx, a.Uuid, func(a *api.Alert) error {
			a.Level, a.Contents, a.Time = level, contents, now
			a.Count++
			return nil
		})
	}
	return api.Alerts.Create(tx, &api.Alert{Name: name, Level: level, Contents: contents, Time: now, Principal: "drpd"})
}

// Open is the alert of a name that nobody has acknowledged, nil if there is none.
func Open(r resource.Reader, name string) *api.Alert {
	for a := range api.Alerts.By(r, api.ByName, name) {
		if !a.Acknowledged {
			return a
		}
	}
	return nil
}

// Acknowledge notes who has seen an alert. Doing it again changes nothing.
func Acknowledge(tx *resource.Tx, now time.Time, id, user string) error {
	return api.Alerts.Modify(tx, id, func(a *api.Alert) error {
		if !a.Acknowledged {
			a.Acknowledged, a.AcknowledgeUser, a.AcknowledgeTime = true, user, now
		}
		return nil
	})
}

// Settle adds to an alert that nobody has acknowledged what has become of what
// it is about, and makes it mild. With nothing to settle it changes nothing.
func Settle(tx *resource.Tx, name, how string) error {
	a := Open(tx, name)
	if a == nil || a.Level == api.AlertInfo {
		return nil
	}
	return api.Alerts.Modify(tx, a.Uuid, func(a *api.Alert) error {
		a.Level, a.Contents = api.AlertInfo, a.Contents+"; "+how
		return nil
	})
}
