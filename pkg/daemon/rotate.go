package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"drpd/pkg/auth"
	"drpd/pkg/datadir"
	"drpd/pkg/resource"
)

// How long the old one is accepted if nobody says: a token lives three years at
// most, and a pinned authority is good until it expires.
const (
	tokenOverlap = auth.MaxTTL + 24*time.Hour
	caOverlap    = 10 * 365 * 24 * time.Hour
)

// unsaid is an overlap that nobody gave; 0 ends what was before at once.
const unsaid = time.Duration(-1)

func overlapOf(text string) (time.Duration, error) {
	if text == "" {
		return unsaid, nil
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = errors.New("it is negative")
	}
	if err != nil {
		return 0, fmt.Errorf("--overlap %q: %w: give how long the old one is still accepted, as 0s or 720h", text, err)
	}
	return d, nil
}

// adminRotate replaces a key of the server.
func (d *Daemon) adminRotate(ctx context.Context, by string, args map[string]string) ([]string, error) {
	overlap, err := overlapOf(args["overlap"])
	if err != nil {
		return nil, err
	}
	if r := d.closed.Load(); r != nil {
		return nil, notActive(r)
	}
	d.rotating.Lock()
	defer d.rotating.Unlock()
	var lines []string
	switch args["what"] {
	case "ca":
		lines, err = d.rotateCA(ctx, overlap)
	case "token-key":
		lines, err = d.rotateToken(ctx, overlap)
	case "master-key":
		if overlap != unsaid {
			return nil, errors.New("--overlap: a master key has none: all that it seals is sealed anew at once")
		}
		lines, err = d.rotateMaster(ctx)
	default:
		err = fmt.Errorf("%q cannot be rotated: ca, token-key and master-key can", args["what"])
	}
	if err != nil {
		return lines, err
	}
	d.auth.Audit(ctx, auth.Record{Action: "rotate", Actor: by, Path: args["what"], Note: lines[0]})
	return lines, nil
}

// saveKeyIDs notes in the database which keys belong to it. If a kill comes
// before, the next start does it: the files have the former keys too.
func (d *Daemon) saveKeyIDs(ctx context.Context) error {
	return d.DB.Update(ctx, func(tx *resource.Tx) error {
		return datadir.Servers.Modify(tx, datadir.Self, func(s *datadir.Server) error {
			s.Master, s.Token, s.CA = d.dir.Master.Keys[0].ID(), d.dir.Token.Keys[0].ID(), d.pki.Fingerprint()
			return nil
		})
	})
}

func (d *Daemon) rotateCA(ctx context.Context, overlap time.Duration) ([]string, error) {
	now := time.Now()
	if until, ok := d.pki.Overlap(); ok {
		if overlap == unsaid {
			return nil, fmt.Errorf("the authority before is accepted until %s: give another end with --overlap, then rotate again after it", until.UTC().Format(time.RFC3339))
		}
		if err := d.pki.EndOverlap(now.Add(overlap)); err != nil {
			return nil, err
		}
		return []string{"the authority before is accepted until " + now.Add(overlap).UTC().Format(time.RFC3339)}, nil
	}
	if overlap == unsaid {
		overlap = caOverlap
	}
	if err := d.pki.Rotate(now.Add(overlap)); err != nil {
		return nil, err
	}
	return []string{"new certificate authority, sha256 " + d.pki.Fingerprint(),
		"who pins the one before goes on until " + now.Add(overlap).UTC().Format(time.RFC3339) + " or until it expires; agents learn the new one by themselves, drpcli at its next login"}, d.saveKeyIDs(ctx)
}

func (d *Daemon) rotateToken(ctx context.Context, overlap time.Duration) ([]string, error) {
	if overlap == unsaid {
		overlap = tokenOverlap
	}
	now := time.Now()
	keys := []datadir.Key{datadir.NewKey(now)}
	for i, k := range d.dir.Token.Keys {
		if i == 0 || k.Until.After(now.Add(overlap)) {
			k.Until = now.Add(overlap) // an end that was given holds for all before
		}
		if i == 0 || now.Before(k.Until) { // the database names the first until saveKeyIDs; Valid leaves out what is over
			keys = append(keys, k)
		}
	}
	if err := d.dir.SaveKeys(datadir.PartToken, keys); err != nil {
		return nil, err
	}
	d.auth.SetKeys(d.dir.Token.Valid(now))
	return []string{"tokens are signed by a new key; those of the one before are accepted until " + now.Add(overlap).UTC().Format(time.RFC3339)}, d.saveKeyIDs(ctx)
}

// useTokenKeys accepts the keys that are valid now, if they are not those of
// before: their number says nothing, one may have come as another ended.
func (d *Daemon) useTokenKeys(before [][]byte) [][]byte {
	d.rotating.Lock()
	defer d.rotating.Unlock()
	valid := d.dir.Token.Valid(time.Now())
	if !slices.EqualFunc(valid, before, bytes.Equal) {
		d.auth.SetKeys(valid)
	}
	return valid
}

// endTokenKeys ends the acceptance of former keys in time.
func (d *Daemon) endTokenKeys(ctx context.Context) error {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for have := d.dir.Token.Valid(time.Now()); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		have = d.useTokenKeys(have)
	}
}

// rotateMaster puts a new key beside the old one, encrypts everything anew, and
// then takes the old one away. Killed at any moment it goes on at the next
// start: see finishMaster.
func (d *Daemon) rotateMaster(ctx context.Context) ([]string, error) {
	if len(d.dir.Master.Keys) == 1 {
		keys := append([]datadir.Key{datadir.NewKey(time.Now())}, d.dir.Master.Keys...)
		if err := d.dir.SaveKeys(datadir.PartMaster, keys); err != nil {
			return nil, err
		}
		d.vault.SetMaster(master(d.dir.Master))
	}
	n, err := d.finishMaster(ctx)
	if err != nil {
		return nil, fmt.Errorf("both keys are in use until it is done: repeat it, or start drpd again: %w", err)
	}
	return []string{fmt.Sprintf("the keys of %d objects are encrypted by a new master key; the old one is gone: backups before this keep it", n)}, nil
}

// rewrapBatch is how many keys are encrypted anew in one update.
const rewrapBatch = 500

// finishMaster encrypts anew what a former master key encrypted, and then drops
// that key. It does nothing if there is none.
func (d *Daemon) finishMaster(ctx context.Context) (int, error) {
	if len(d.dir.Master.Keys) == 1 {
		return 0, nil
	}
	n := 0
	for {
		var ids []string
		// In an update, so that it sees what one before it made with the old key.
		err := d.DB.Update(ctx, func(tx *resource.Tx) error { ids = d.vault.Stale(tx); return nil })
		if err != nil {
			return n, err
		}
		if len(ids) == 0 {
			break
		}
		for batch := range slices.Chunk(ids, rewrapBatch) {
			if err := d.DB.Update(ctx, func(tx *resource.Tx) error { return d.vault.Rewrap(tx, batch) }); err != nil {
				return n, err
			}
			n += len(batch)
		}
	}
	if err := d.rewrapPassword(ctx); err != nil {
		return n, err
	}
	if err := d.saveKeyIDs(ctx); err != nil {
		return n, err
	}
	if err := d.dir.SaveKeys(datadir.PartMaster, d.dir.Master.Keys[:1]); err != nil {
		return n, err
	}
	d.vault.SetMaster(master(d.dir.Master))
	return n, nil
}

func (d *Daemon) rewrapPassword(ctx context.Context) error {
	p, err := d.Unshown()
	if p == "" {
		return err
	}
	return d.DB.Update(ctx, func(tx *resource.Tx) error {
		if s, err := datadir.Servers.Get(tx, datadir.Self); err != nil || s.FirstPassword == nil {
			return err
		}
		return d.keepPassword(tx, p)
	})
}
