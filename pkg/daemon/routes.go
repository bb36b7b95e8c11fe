package daemon

import (
	"net/http"

	"drpd/pkg/rest"
)

// routes are what the API has besides kinds and rest's own special routes.
func (d *Daemon) routes() []rest.Route {
	return append(d.poolRoutes(), rest.Route{Method: http.MethodDelete, Path: "/jobs", Serve: d.purgeJobs})
}

// verbs are the named operations on one object.
func (d *Daemon) verbs() map[string]rest.Verb {
	return map[string]rest.Verb{"machines/boot": d.bootAgain}
}
