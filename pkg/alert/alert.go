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
	for a := range api.Alerts.By(tx, api.ByName, name) {
		if a.Acknowledged {
			continue
		}
		return api.Alerts.Modify(tx, a.Uuid, func(a *api.Alert) error {
			a.Level, a.Contents, a.Time = level, contents, now
			a.Count++
			return nil
		})
	}
	return api.Alerts.Create(tx, &api.Alert{Name: name, Level: level, Contents: contents, Time: now, Principal: "drpd"})
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
