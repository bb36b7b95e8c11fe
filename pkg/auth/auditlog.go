package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Limits of the file of records.
const (
	AuditFileMax = 16 << 20 // bytes of one file, more or less
	AuditFiles   = 10       // how many are kept, the one in use included
	auditWaiting = 16384    // records that wait for the disk at most
	auditPause   = 200 * time.Millisecond
)

// auditLine is one line of the file. Prev is the SHA-256 of the line before, so
// that a line which was taken out or changed shows.
type auditLine struct {
	N      uint64
	Prev   string
	Record Record
}

// AuditLog writes records to a file that only grows, several at a time. Nobody
// waits for it: what was done in the last moments before a crash may be missing.
type AuditLog struct {
	dir    string
	failed func(error) // told of the first failure of a row

	mu      sync.Mutex // guards below
	waiting []Record
	lost    int // since the last that could wait

	bell chan struct{}
	// What follows belongs to who writes.
	writing sync.Mutex
	file    *os.File
	size    int64
	n       uint64
	prev    string
	broken  bool
}

// OpenAuditLog opens the file in a folder, which is made if needed. failed is
// called when records cannot be written, once until they can be again.
func OpenAuditLog(dir string, failed func(error)) (*AuditLog, error) {
	l := &AuditLog{dir: dir, failed: failed, bell: make(chan struct{}, 1)}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open audit: %w", err)
	}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("open audit: %w", err)
	}
	return l, nil
}

func (l *AuditLog) path() string { return filepath.Join(l.dir, "audit.log") }

// open finds the end of the chain. A line that a crash has cut short is ended,
// so that the next begins on its own.
func (l *AuditLog) open() error {
	f, err := os.OpenFile(l.path(), os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, info.Size()
	last, whole := lastLine(f, l.size)
	if last == nil { // a new file goes on from the one before
		if old, err := os.Open(l.path() + ".1"); err == nil {
			defer old.Close()
			if info, err := old.Stat(); err == nil {
				last, _ = lastLine(old, info.Size())
			}
		}
	}
	if last != nil {
		var was auditLine
		_ = json.Unmarshal(last, &was) // torn: it starts anew, and shows
		l.n, l.prev = was.N, lineSum(last)
	}
	if !whole && l.size > 0 {
		if _, err := f.Write([]byte("\n")); err != nil {
			return err
		}
		l.size++
	}
	return nil
}

// lastLine is the last line of a file; whole says that it has an end.
func lastLine(f *os.File, size int64) (line []byte, whole bool) {
	const most = 64 << 10
	from := max(0, size-most)
	data := make([]byte, size-from)
	if _, err := f.ReadAt(data, from); err != nil || len(data) == 0 {
		return nil, true
	}
	whole = data[len(data)-1] == '\n'
	data = bytes.TrimRight(data, "\n")
	return bytes.Clone(data[bytes.LastIndexByte(data, '\n')+1:]), whole
}

func lineSum(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// Add hands a record over. It never waits for the disk.
func (l *AuditLog) Add(r Record) {
	l.mu.Lock()
	if len(l.waiting) < auditWaiting {
		l.waiting = append(l.waiting, r)
	} else {
		l.lost++
	}
	l.mu.Unlock()
	select {
	case l.bell <- struct{}{}:
	default:
	}
}

// Run writes what is handed over until ctx ends, then the rest.
func (l *AuditLog) Run(ctx context.Context) error {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil // Close writes the rest
		case <-l.bell:
		}
		l.Flush()
		t.Reset(auditPause) // what comes meanwhile shares the next sync
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// Flush writes what waits. What cannot be written waits on, as far as there is
// room.
func (l *AuditLog) Flush() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	list, lost := l.waiting, l.lost
	l.mu.Unlock()
	if len(list) == 0 {
		return
	}
	if lost > 0 {
		list = append(list[:len(list):len(list)], Record{Time: list[len(list)-1].Time, Action: "lost", Note: fmt.Sprintf("%d records could not be written and are only in the log", lost)})
	}
	err := l.write(list)
	if err == nil {
		l.mu.Lock()
		l.waiting, l.lost = l.waiting[len(list)-min(lost, 1):], l.lost-lost
		l.mu.Unlock()
		l.broken = false
		return
	}
	if !l.broken && l.failed != nil {
		l.failed(fmt.Errorf("records of audit are not written to %s: %w", l.path(), err))
	}
	l.broken = true
}

func (l *AuditLog) write(list []Record) error {
	n, prev := l.n, l.prev
	var b bytes.Buffer
	for _, r := range list {
		n++
		line, err := json.Marshal(auditLine{n, prev, r})
		if err != nil {
			return err
		}
		b.Write(line)
		b.WriteByte('\n')
		prev = lineSum(line)
	}
	if l.size > AuditFileMax {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	wrote, err := l.file.Write(b.Bytes())
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil { // the same lines are written again: take the part away
		return errors.Join(err, l.file.Truncate(l.size))
	}
	l.size, l.n, l.prev = l.size+int64(wrote), n, prev
	return nil
}

func (l *AuditLog) rotate() error {
	for i := AuditFiles - 1; i >= 1; i-- {
		from := fmt.Sprintf("%s.%d", l.path(), i-1)
		if i == 1 {
			from = l.path()
		}
		if err := os.Rename(from, fmt.Sprintf("%s.%d", l.path(), i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	f, err := os.OpenFile(l.path(), os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = l.file.Close()
	l.file, l.size = f, 0
	return err
}

// Close writes the rest.
func (l *AuditLog) Close() error {
	l.Flush()
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.file.Close()
}

// CheckAudit follows the chain of all files and says where it is broken. A break
// after a crash is one line; who takes lines out breaks it too.
func CheckAudit(dir string) (records int, breaks []string, err error) {
	prev, first := "", true
	for i := AuditFiles - 1; i >= 0; i-- {
		path := filepath.Join(dir, "audit.log")
		if i > 0 {
			path = fmt.Sprintf("%s.%d", path, i)
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return records, breaks, err
		}
		if len(data) == 0 {
			continue
		}
		for k, line := range bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) {
			var is auditLine
			if json.Unmarshal(line, &is) != nil || !first && is.Prev != prev {
				breaks = append(breaks, fmt.Sprintf("%s line %d", filepath.Base(path), k+1))
			} else {
				records++
			}
			prev, first = lineSum(line), false
		}
	}
	return records, breaks, nil
}
