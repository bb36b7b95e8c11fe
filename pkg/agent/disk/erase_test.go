//go:build linux

package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// drive answers NVMe admin commands as a drive does.
type drive struct {
	sanicap    uint32
	format     bool // it knows Format NVM, with both kinds of erasure
	namespaces []uint32
	shared     bool   // another controller sees it
	refuses    bool   // every erasure
	fails      bool   // every sanitize, at its end
	polls      int    // how often it is asked until it is done
	wipes      func() // what an erasure does to the data

	status uint16
	acts   []byte // opcodes and actions that it was told
}

func (d *drive) admin(c *adminCommand, data []byte) error {
	switch c.opcode {
	case nvmeIdentify:
		switch c.cdw10 {
		case 1:
			binary.LittleEndian.PutUint32(data[328:], d.sanicap)
			if d.format {
				data[256], data[524] = 0b10, 0b100
			}
			if d.shared {
				data[76] = 0b10
			}
		case 2:
			for i, n := range d.namespaces {
				binary.LittleEndian.PutUint32(data[4*i:], n)
			}
		default:
			data[26] = 3
		}
		return nil
	case nvmeGetLog:
		if d.sanicap == 0 {
			return errors.New("NVMe status 0x109")
		}
		if d.status == 2 {
			if d.polls--; d.polls <= 0 {
				if d.status = 1; d.fails {
					d.status = 3
				}
			}
		}
		binary.LittleEndian.PutUint16(data, uint16(65535-1000*max(d.polls, 0)))
		binary.LittleEndian.PutUint16(data[2:], d.status)
		return nil
	}
	d.acts = append(d.acts, c.opcode, byte(c.cdw10), byte(c.cdw10>>8))
	if d.refuses {
		return errors.New("NVMe status 0x1c")
	}
	if d.status = 2; c.opcode == nvmeFormat {
		d.status = 0
	}
	if d.wipes != nil {
		d.wipes()
	}
	return nil
}

// TestErase: a drive erases itself if it can, alone, and says so; else it is
// overwritten. The disk is blank in the end, and the evidence says by what.
func TestErase(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		d      drive
		keeps  bool // the erasure leaves something
		method string
		record string
		acts   []byte
	}{
		"block erase":                    {d: drive{sanicap: 0b11, polls: 3}, method: "sanitize", record: "SSTAT 0x0001", acts: []byte{nvmeSanitize, 2, 0}},
		"crypto erase":                   {d: drive{sanicap: 0b01, polls: 1}, method: "crypto-erase", record: "SSTAT 0x0001", acts: []byte{nvmeSanitize, 4, 0}},
		"one was at work":                {d: drive{sanicap: 0b10, polls: 2, status: 2}, method: "sanitize", record: "SSTAT 0x0001", acts: []byte{nvmeSanitize, 2, 0}},
		"one was done before":            {d: drive{sanicap: 0b10, polls: 1, status: 1}, method: "sanitize", record: "SSTAT 0x0001", acts: []byte{nvmeSanitize, 2, 0}},
		"a format":                       {d: drive{format: true}, method: "sanitize", record: "Format NVM, SES 1, completed", acts: []byte{nvmeFormat, 3, 2}},
		"refused":                        {d: drive{sanicap: 0b10, refuses: true}, method: "overwrite", acts: []byte{nvmeSanitize, 2, 0}},
		"it fails":                       {d: drive{sanicap: 0b10, polls: 1, fails: true}, method: "overwrite", acts: []byte{nvmeSanitize, 2, 0}},
		"it says it did, and reads else": {d: drive{sanicap: 0b01, polls: 1}, keeps: true, method: "overwrite", acts: []byte{nvmeSanitize, 4, 0}},
		"it knows no such thing":         {d: drive{}, method: "overwrite"},
		"overwriting by itself only":     {d: drive{sanicap: 0b100, format: true}, method: "overwrite"},
		"two namespaces":                 {d: drive{sanicap: 0b11, namespaces: []uint32{1, 2}}, method: "overwrite"},
		"another namespace":              {d: drive{sanicap: 0b11, namespaces: []uint32{7}}, method: "overwrite"},
		"two hosts":                      {d: drive{sanicap: 0b11, shared: true}, method: "overwrite"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := threeDisks(t, fileDevice{})
			d := c.d
			if d.namespaces == nil {
				d.namespaces = []uint32{1}
			}
			if d.wipes = func() { _ = os.WriteFile(h.Dev+"/vda", make([]byte, 6*mib+512), 0o600) }; c.keeps {
				d.wipes = nil
			}
			h.self = func(Disk) (self, error) { return &nvme{nsid: 1, admin: d.admin}, nil }
			var log bytes.Buffer
			reps, err := h.Wipe(t.Context(), Wipe{Wants: []Want{{Serial: "A"}}, Mode: WipeErase, Log: &log})
			require.NoError(t, err)
			assert.Equal(t, c.method, reps[0].Method, log.String())
			assert.Contains(t, reps[0].Record, c.record)
			assert.Equal(t, c.method == "overwrite", reps[0].Record == "", "a record is of an erasure alone")
			assert.Equal(t, int64(6*mib+512), reps[0].Bytes)
			assert.Equal(t, c.acts, d.acts)
			assert.True(t, bytes.Equal(make([]byte, 6*mib+512), content(t, h, "vda")), "it is blank")
			assert.True(t, bytes.Equal(bytes.Repeat([]byte{0xaa}, mib), content(t, h, "vdc")), "disk not named")
		})
	}
}

// TestEraseStops with its context, though the drive goes on.
func TestEraseStops(t *testing.T) {
	t.Parallel()
	d := &drive{sanicap: 0b10, namespaces: []uint32{1}, polls: 1 << 30}
	_, _, err := eraseSelf(canceled(t), &nvme{nsid: 1, admin: d.admin}, func(string, ...any) {}, time.Hour)
	require.Error(t, err)
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
