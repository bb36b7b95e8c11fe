package image

import (
	"fmt"
	"io"
	"path"
	"strings"
)

// File type bits of a cpio mode, as in stat(2).
const (
	modeDir  = 0o040000
	modeChar = 0o020000
	modeFile = 0o100000
)

// cpioEntry is one file, directory or character device of an archive.
type cpioEntry struct {
	Name         string // without leading slash
	Mode         uint32 // type bits and permissions
	Body         []byte
	Major, Minor uint32 // of a device
}

// cpioWriter writes the "newc" format the kernel unpacks (magic 070701; see
// Documentation/driver-api/early-userspace/buffer-format.rst). Owner, time and
// device numbers are zero and inodes are counted from 1, so that equal entries
// give equal bytes. Missing parent directories are added.
type cpioWriter struct {
	w    io.Writer
	ino  uint32
	made map[string]bool
}

func newCpioWriter(w io.Writer) *cpioWriter {
	return &cpioWriter{w: w, made: map[string]bool{".": true}}
}

// Dir adds a directory and its parents; one that is there already is kept.
func (c *cpioWriter) Dir(name string) error {
	name = path.Clean(strings.TrimPrefix(name, "/"))
	if c.made[name] {
		return nil
	}
	return c.Add(cpioEntry{Name: name, Mode: modeDir | 0o755})
}

// File adds a regular file.
func (c *cpioWriter) File(name string, perm uint32, body []byte) error {
	return c.Add(cpioEntry{Name: name, Mode: modeFile | perm, Body: body})
}

// Add writes one entry. Adding a name twice is an error: the kernel would
// silently keep the second.
func (c *cpioWriter) Add(e cpioEntry) error {
	e.Name = path.Clean(strings.TrimPrefix(e.Name, "/"))
	if c.made[e.Name] {
		return fmt.Errorf("add %s to archive: name is there already", e.Name)
	}
	if err := c.Dir(path.Dir(e.Name)); err != nil {
		return err
	}
	c.made[e.Name] = true
	c.ino++
	return c.write(e, c.ino)
}

// Close writes the end marker; it does not close the writer below.
func (c *cpioWriter) Close() error {
	return c.write(cpioEntry{Name: "TRAILER!!!"}, 0)
}

func (c *cpioWriter) write(e cpioEntry, ino uint32) error {
	if uint64(len(e.Body)) > 0xffffffff {
		return fmt.Errorf("add %s to archive: %d bytes, the format allows 4 GiB", e.Name, len(e.Body))
	}
	links := uint32(1)
	if e.Mode&modeDir != 0 {
		links = 2
	}
	head := "070701"
	for _, field := range []uint32{
		ino, e.Mode, 0, 0, links, 0, uint32(len(e.Body)), // uid, gid and mtime are zero
		0, 0, e.Major, e.Minor, uint32(len(e.Name) + 1), 0,
	} {
		head += fmt.Sprintf("%08X", field)
	}
	head += e.Name + "\x00"
	for _, part := range [][]byte{[]byte(head), e.Body} {
		if _, err := c.w.Write(pad4(part)); err != nil {
			return fmt.Errorf("add %s to archive: %w", e.Name, err)
		}
	}
	return nil
}

// pad4 appends zeros up to a multiple of four, never touching b's own array.
func pad4(b []byte) []byte {
	if n := len(b) % 4; n != 0 {
		return append(b[:len(b):len(b)], make([]byte, 4-n)...)
	}
	return b
}
