package pxe

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Limits of the flight recorder.
const (
	maxSteps = 48              // kept of one boot
	bootGap  = 5 * time.Minute // of silence, after which a DHCP step starts a new boot
)

// RecorderConfig makes a Recorder. DB is required.
type RecorderConfig struct {
	DB    *resource.DB
	Log   *slog.Logger     // default: discard
	Now   func() time.Time // default: the DB's clock
	Every time.Duration    // between writes, default 1 s
	Queue int              // steps that may wait, default 16384
}

// Recorder writes boot steps to the boot records in batches, so that a rack
// that boots costs a few commits, not thousands.
type Recorder struct {
	cfg  RecorderConfig
	in   chan seen
	lost atomic.Int64
}

type seen struct {
	mac  string
	step api.BootStep
}

// NewRecorder makes a Recorder; Run writes what it is told.
func NewRecorder(cfg RecorderConfig) *Recorder {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = cfg.DB.Now
	}
	cfg.Every = orDefault(cfg.Every, time.Second)
	return &Recorder{cfg: cfg, in: make(chan seen, orDefault(cfg.Queue, 1<<14))}
}

// Record notes a step and never blocks; if too many wait it is lost, which the
// log says.
func (rc *Recorder) Record(mac, step, detail string) {
	select {
	case rc.in <- seen{mac, api.BootStep{Step: step, Time: rc.cfg.Now().UTC(), Detail: detail[:min(len(detail), maxName)]}}:
	default:
		rc.lost.Add(1)
	}
}

// Run writes until ctx ends, then once more.
func (rc *Recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(rc.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			rc.Flush(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
			rc.Flush(ctx)
		}
	}
}

// Flush writes what waits, in one update.
func (rc *Recorder) Flush(ctx context.Context) {
	if n := rc.lost.Swap(0); n > 0 {
		rc.cfg.Log.Warn("boot steps lost: too many at once", "lost", n)
	}
	var batch []seen
	for len(batch) < cap(rc.in) {
		select {
		case s := <-rc.in:
			batch = append(batch, s)
			continue
		default:
		}
		break
	}
	if len(batch) == 0 {
		return
	}
	err := rc.cfg.DB.Update(ctx, func(tx *resource.Tx) error { return writeSteps(tx, batch) })
	if err != nil {
		rc.cfg.Log.Warn("boot steps lost: not saved", "lost", len(batch), "err", err)
	}
}

func writeSteps(tx *resource.Tx, batch []seen) error {
	recs := map[string]*api.BootRecord{}
	for _, s := range batch {
		rec := recs[s.mac]
		if rec == nil {
			rec = &api.BootRecord{Mac: s.mac}
			if old, err := api.BootRecords.Get(tx, s.mac); err == nil {
				rec.Steps = slices.Clone(old.Steps)
			}
			if m := api.Machines.One(tx, api.ByMAC, s.mac); m != nil {
				rec.Machine = m.Uuid
			}
			recs[s.mac] = rec
		}
		rec.Steps = addStep(rec.Steps, s.step)
	}
	for _, rec := range recs {
		if err := api.BootRecords.Put(tx, rec); err != nil {
			return err
		}
	}
	return nil
}

// addStep appends a step, or begins a new boot with it: firmware asks DHCP
// again after a kernel had been loaded, or after a long silence.
func addStep(steps []api.BootStep, s api.BootStep) []api.BootStep {
	if n := len(steps); n > 0 {
		last := steps[n-1]
		loaded := slices.ContainsFunc(steps, func(b api.BootStep) bool { return b.Step == "kernel" || b.Step == "agent" })
		if s.Step == "dhcp" && (loaded || s.Time.Sub(last.Time) > bootGap) {
			return []api.BootStep{s}
		}
		if last.Step == s.Step && last.Detail == s.Detail {
			return steps
		}
	}
	if len(steps) >= maxSteps {
		return steps
	}
	return append(steps, s)
}
