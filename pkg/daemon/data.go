package daemon

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"time"

	"drpd/pkg/auth"
	"drpd/pkg/blob"
	"drpd/pkg/datadir"
	"drpd/pkg/param"
	"drpd/pkg/pki"
	"drpd/pkg/seal"
	"drpd/pkg/store"
	"drpd/pkg/store/mem"
	"drpd/pkg/store/sqlite"
)

// openFiles opens what lives in the data directory, after a look at whether all
// of it is there and belongs together.
func (d *Daemon) openFiles(ctx context.Context) error {
	var err error
	dir := datadir.Config{Dir: d.cfg.DataDir, Database: d.cfg.Database}
	if dir.InMemory = d.cfg.Database == InMemory; dir.InMemory {
		dir.Database = ""
	}
	now := time.Now()
	if d.dir, err = datadir.Begin(dir); err != nil {
		return err
	}
	if err := d.dir.AsideDatabase(now); err != nil {
		return err
	}
	db, err := d.openStore(ctx)
	if err != nil {
		return err
	}
	d.losses, err = d.dir.Join(ctx, db, d.openPKI, now)
	if err != nil {
		return err
	}
	d.vault = param.NewVault(master(d.dir.Master))
	if d.blobs, err = blob.OpenDir(d.dir.Path(datadir.PartBlobs)); err != nil {
		return err
	}
	if d.trail, err = auth.OpenAuditLog(d.dir.Path(datadir.AuditDir), d.auditFailed); err != nil {
		return err
	}
	d.tls, err = d.certificate()
	return err
}

// master is the key in use with those that are being replaced.
func master(f datadir.KeyFile) seal.Master {
	var former []seal.Key
	for _, k := range f.Keys[1:] {
		former = append(former, seal.Key(k.Key))
	}
	return seal.NewMaster(seal.Key(f.Keys[0].Key), former...)
}

// openPKI opens the certificate authority and returns its fingerprints.
func (d *Daemon) openPKI() ([]string, error) {
	var err error
	d.pki, err = pki.Open(pki.Config{Lazy: d.cfg.Offline, Dir: d.dir.Path(datadir.PartPKI), Names: append([]string{"localhost"}, d.cfg.Names...),
		IPs: append(hostAddrs(), d.cfg.Addresses...)})
	if err != nil {
		return nil, err
	}
	return d.pki.Fingerprints(), nil
}

// openStore opens the database; what it is called is known from then on.
func (d *Daemon) openStore(ctx context.Context) (datadir.Records, error) {
	if d.cfg.Database == InMemory {
		s := mem.New(mem.Config{})
		d.store = s
		return nothingYet{s}, nil
	}
	d.cfg.Database = d.dir.Path(datadir.PartDatabase)
	if err := d.peek(ctx); err != nil {
		return nil, err
	}
	s, err := sqlite.Open(ctx, sqlite.Config{Path: d.cfg.Database, LogRows: 1}) // nobody follows the store but by the DB
	if err != nil {
		return nil, err
	}
	d.store = s
	return s, nil
}

// peek looks at the database before it is opened: what is refused stays as it is.
func (d *Daemon) peek(ctx context.Context) error {
	info, err := os.Stat(d.cfg.Database)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil // none yet: the directory's survey allowed it
	}
	rec, rev, err := sqlite.Peek(ctx, d.cfg.Database, datadir.Servers.Name, datadir.Self)
	if errors.Is(err, sqlite.ErrMixed) {
		return d.dir.Refuse(datadir.PartDatabase, err.Error())
	}
	if err != nil {
		return err
	}
	_, err = d.dir.Judge(rec, rev)
	return err
}

// nothingYet is a database in memory at its start.
type nothingYet struct{ *mem.Store }

func (nothingYet) Get(context.Context, string, string) (r store.Record, rev store.Rev, err error) {
	return r, 0, nil
}

// noteRev notes now and then, and at the end, how far the database has come: an
// older copy of it is then known for one.
func (d *Daemon) noteRev(ctx context.Context) error {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if err := d.noteRevNow(context.WithoutCancel(ctx)); err != nil {
			d.cfg.Log.Warn("how far the database has come is not noted", "err", err)
		}
	}
}

func (d *Daemon) noteRevNow(ctx context.Context) error {
	s, ok := d.store.(*sqlite.Store)
	if !ok {
		return nil
	}
	_, rev, err := s.Get(ctx, datadir.Servers.Name, datadir.Self)
	if err != nil {
		return err
	}
	return d.dir.NoteRev(uint64(rev))
}

// hostAddrs are the IPv4 addresses of this host.
func hostAddrs() []netip.Addr {
	var out []netip.Addr
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
			addr, _ := netip.AddrFromSlice(n.IP.To4())
			out = append(out, addr)
		}
	}
	return out
}
