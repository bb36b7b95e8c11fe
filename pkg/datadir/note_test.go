package datadir

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/store/sqlite"
)

func TestNoteRev(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir()}
	d, err := Begin(cfg)
	require.NoError(t, err)
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: cfg.At(PartDatabase)})
	require.NoError(t, err)
	defer db.Close()
	_, err = d.Join(t.Context(), db, func() ([]string, error) { return []string{"ca"}, nil }, time.Now())
	require.NoError(t, err)
	at := d.id.Rev
	for _, step := range []struct {
		what string
		note func(uint64) error
		rev  uint64
		want identity
	}{
		{"nothing was changed yet: no log is sure to be there", d.NoteRev, at, identity{Rev: at}},
		{"stopped without a change", d.NoteClosed, at, identity{Rev: at}},
		{"changed: the log has it", d.NoteRev, at + 5, identity{Rev: at + 5, Log: true}},
		{"nothing since", d.NoteRev, at + 5, identity{Rev: at + 5, Log: true}},
		{"stopped, nothing since", d.NoteClosed, at + 5, identity{Rev: at + 5}},
		{"never back", d.NoteRev, at + 1, identity{Rev: at + 5}},
		{"stopped after a change", d.NoteClosed, at + 6, identity{Rev: at + 6}},
	} {
		require.NoError(t, step.note(step.rev), step.what)
		id, _, err := cfg.readIdentity()
		require.NoError(t, err)
		assert.Equal(t, step.want, identity{Rev: id.Rev, Log: id.Log}, step.what)
	}
}
