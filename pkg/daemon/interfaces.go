package daemon

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// relook is how often the host's network interfaces are looked at again.
const relook = 30 * time.Second

// watchInterfaces keeps the interface objects as the host is, until ctx ends.
func (d *Daemon) watchInterfaces(ctx context.Context) error {
	tick := time.NewTicker(relook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			d.lookAtInterfaces(ctx)
		}
	}
}

// lookAtInterfaces does it once. Nothing but what clients see depends on it, so
// a failure is only logged.
func (d *Daemon) lookAtInterfaces(ctx context.Context) {
	found, err := hostInterfaces()
	if err == nil {
		err = saveInterfaces(ctx, d.DB, found)
	}
	if err != nil && ctx.Err() == nil {
		d.cfg.Log.Warn("network interfaces not refreshed", "err", err)
	}
}

// hostInterfaces lists the interfaces that have addresses.
func hostInterfaces() ([]*api.Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	var out []*api.Interface
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("list addresses of interface %s: %w", i.Name, err)
		}
		if len(addrs) == 0 {
			continue
		}
		found := &api.Interface{Name: i.Name, Index: i.Index}
		for _, a := range addrs {
			found.Addresses = append(found.Addresses, a.String())
		}
		found.ActiveAddress = activeAddress(addrs)
		out = append(out, found)
	}
	return out, nil
}

// activeAddress is the first address that machines can reach us by: IPv4, and
// not only of this link.
func activeAddress(addrs []net.Addr) string {
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return a.String()
		}
	}
	return ""
}

// saveInterfaces makes the interface objects equal to what was found. It
// changes nothing, and makes no event, where they are so already.
func saveInterfaces(ctx context.Context, db *resource.DB, found []*api.Interface) error {
	return db.Update(ctx, func(tx *resource.Tx) error {
		var gone []string
		for o := range api.Interfaces.All(tx) {
			if !slices.ContainsFunc(found, func(f *api.Interface) bool { return f.Name == o.Name }) {
				gone = append(gone, o.Name)
			}
		}
		for _, name := range gone {
			if err := api.Interfaces.Delete(tx, name); err != nil {
				return err
			}
		}
		for _, f := range found {
			o := *f // the DB keeps what it is given
			if err := api.Interfaces.Put(tx, &o); err != nil {
				return err
			}
		}
		return nil
	})
}
