package daemon

import (
	"context"
	"encoding/json"
	"net/http"

	"drpd/pkg/api"
	"drpd/pkg/media"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// purgeMedia is purgeLocal of a boot environment: its unpacked media are
// removed, of the architectures in the body or of all; with ?reexplodeIsos=true
// they are unpacked anew. The reply is what is now wanted of each.
func (d *Daemon) purgeMedia(ctx context.Context, r rest.Request) (int, any, error) {
	id := r.Param("id")
	o, err := api.BootEnvs.Lookup(d.DB.View(), id)
	if err != nil {
		return 0, nil, err
	}
	if err := r.Allow(api.BootEnvs.Name, "action:purgeLocal", o.Key); err != nil {
		return 0, nil, err
	}
	var arches []string
	if len(r.Body) > 0 {
		if err := json.Unmarshal(r.Body, &arches); err != nil {
			return 0, nil, resource.Errorf(resource.Malformed, api.BootEnvs.Name, o.Key, "the body is no list of architectures: %v", err)
		}
	}
	out := []*api.Medium{}
	err = d.DB.Update(ctx, func(tx *resource.Tx) error {
		env, err := api.BootEnvs.Get(tx, o.Key)
		if err != nil {
			return err
		}
		if err := media.Purge(tx, env, arches, isSet(r.Query, "reexplodeIsos")); err != nil {
			return err
		}
		for _, arch := range env.MediaArches() {
			if m, err := api.Media.Get(tx, env.MediaDir(arch)); err == nil {
				out = append(out, m)
			}
		}
		return nil
	})
	return http.StatusOK, out, err
}
