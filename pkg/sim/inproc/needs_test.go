package inproc

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// TestWhatALiveClusterNeedsStays deletes, with force, what a live cluster refers
// to in one way or another, then the same when the cluster is gone.
func TestWhatALiveClusterNeedsStays(t *testing.T) {
	inFakeTime(t, 2, func(t *testing.T, site *Site) {
		s, ctx := &siege{T: t, Site: site}, resource.WithOptions(t.Context(), resource.Options{Force: true})
		s.create(api.Blueprints, &api.Blueprint{Name: "my-join", Tasks: []string{"my-task"}})
		s.create(api.Tasks, &api.Task{Name: "my-task", Templates: []api.TemplateInfo{{Name: "x", ID: "my-template"}}})
		s.create(api.Templates, &api.Template{ID: "my-template"})
		s.create(api.Workflows, &api.Workflow{Name: "my-install", Stages: []string{"image-deploy", "os-online"}})
		s.create(api.Profiles, &api.Profile{Name: "mine", Params: resource.Params{"cluster/rolling-blueprint": "my-join", "cluster/member-workflow": "my-install"}})
		s.create(api.Pools, &api.Pool{Id: "spare"})
		s.create(api.Contexts, &api.Context{Name: "other"})
		require.NoError(t, s.update(func(tx *resource.Tx) error {
			return api.Clusters.Create(tx, &api.Machine{Name: "demo", Workflow: "universal-cluster-provision", Profiles: []string{"mine", "etcd-application"},
				Params: resource.Params{"cluster/count": 2, "image-deploy/image": "test-image"}})
		}))
		require.NoError(t, site.Await(t.Context(), "cluster live", Live("demo")))

		needed := map[resource.Any][]string{
			api.Brokers: {s.broker()}, api.BootEnvs: {"test-image"}, api.Files: {"isos/test.zst", "files/discovery/vmlinuz"},
			api.Contexts: {"drpcli-runner"}, api.Pools: {"default"}, api.Profiles: {"mine"}, api.Blueprints: {"my-join"},
			api.Workflows: {"my-install"}, api.Tasks: {"my-task"}, api.Templates: {"my-template"}, api.Machines: {s.member(1).Uuid},
		}
		for k, keys := range needed {
			for _, key := range keys {
				err := site.Core.DB.Update(ctx, func(tx *resource.Tx) error { return k.Delete(tx, key) })
				code := resource.CodeOf(err)
				assert.True(t, code == resource.Refused || code == resource.Conflict, "%s/%s: %v", k.KindName(), key, err)
			}
		}
		err := site.Core.DB.Update(ctx, func(tx *resource.Tx) error { return api.BootEnvs.Delete(tx, "test-image") })
		assert.ErrorContains(t, err, "test-image is needed by live clusters: demo; destroy them first (drpcli clusters destroy demo), or let them use another one")
		err = s.update(func(tx *resource.Tx) error {
			return api.Brokers.Modify(tx, s.broker(), func(b *api.Machine) error { b.Name = "renamed"; return nil })
		})
		assert.ErrorContains(t, err, "pool-broker is needed by live clusters: demo", "a name is all that the cluster knows")
		for k, key := range map[resource.Any]string{api.Pools: "spare", api.Contexts: "other"} {
			assert.NoError(t, s.update(func(tx *resource.Tx) error { return k.Delete(tx, key) }), "nobody needs it")
		}
		assert.NoError(t, s.update(func(tx *resource.Tx) error { // replaced in one update
			if err := api.Blueprints.Delete(tx, "my-join"); err != nil {
				return err
			}
			return api.Blueprints.Create(tx, &api.Blueprint{Name: "my-join", Tasks: []string{"my-task"}})
		}))

		require.NoError(t, s.SetWorkflow(t.Context(), "demo", "universal-cluster-destroy"))
		require.NoError(t, site.Await(t.Context(), "cluster destroyed", Gone("demo")))
		for _, k := range []resource.Any{api.Blueprints, api.Brokers, api.BootEnvs} {
			assert.NoError(t, site.Core.DB.Update(ctx, func(tx *resource.Tx) error { return k.Delete(tx, needed[k][0]) }), k.KindName())
		}
	})
}
