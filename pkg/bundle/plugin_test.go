package bundle_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/bundle"
)

func TestFromPluginTakesNameAndVersionOfTheProvider(t *testing.T) {
	t.Parallel()
	p, err := bundle.FromPlugin([]byte("meta: {Name: other, Description: Unspecified, Color: red}\nsections: {tasks: {t: {}}}\n"), "ring", "v1.2.3")
	require.NoError(t, err)
	assert.Equal(t, api.PackMeta{Name: "ring", Version: "v1.2.3", Type: "plugin", Color: "red", Description: "Content layer for ring plugin provider", Source: "FromPluginProvider"}, p.Meta)
	_, err = bundle.FromPlugin([]byte("sections: {users: {root: {}}}"), "ring", "v1.2.3")
	assert.ErrorContains(t, err, "contents/ring: section users: a content pack may hold only")
	_, err = bundle.FromPlugin([]byte("[1"), "ring", "v1.2.3")
	assert.Error(t, err)
}
