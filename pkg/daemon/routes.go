package daemon

import (
	"net/http"

	"drpd/pkg/rest"
)

// routes are what the API has besides kinds and rest's own special routes.
func (d *Daemon) routes() []rest.Route {
	return append(d.poolRoutes(), d.webhookRoute(),
		rest.Route{Method: http.MethodGet, Path: "/restored", Serve: d.restoredRoute},
		rest.Route{Method: http.MethodGet, Path: "/bootenvs/:id/purgeLocal", Serve: d.purgeMedia},
		rest.Route{Method: http.MethodDelete, Path: "/bootenvs/:id/purgeLocal", Serve: d.purgeMedia},
		rest.Route{Method: http.MethodPost, Path: "/join_tokens", Serve: d.joinToken},
		rest.Route{Method: http.MethodDelete, Path: "/jobs", Serve: d.purgeJobs})
}
