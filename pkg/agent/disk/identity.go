//go:build linux

package disk

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
)

// VPD pages of SPC-3, 7.6.
const (
	vpdSerial = 0x80
	vpdIdent  = 0x83
)

// identity finds serial and WWN of the disk in the sysfs directory dir. Virtio
// and NVMe have plain attributes. SCSI and ATA disks have VPD pages in sysfs;
// where the kernel did not keep them the disk itself is asked through node.
func identity(dir, node string) (serial, wwn string) {
	for _, name := range []string{"serial", "device/serial"} {
		if serial = attr(dir, name); serial != "" {
			break
		}
	}
	if wwn = plainWWN(attr(dir, "wwid")); wwn == "" {
		wwn = plainWWN(attr(dir, "device/wwid"))
	}
	if isSCSI(dir) {
		if serial == "" {
			serial = parseSerialPage(vpdPage(dir, node, vpdSerial))
		}
		if wwn == "" {
			wwn = parseIdentPage(vpdPage(dir, node, vpdIdent))
		}
	}
	return serial, wwn
}

func isSCSI(dir string) bool { return strings.HasPrefix(filepath.Base(dir), "sd") }

// plainWWN takes a kernel wwid if it is a worldwide name; "t10." names are
// vendor text, often only the model and serial again.
func plainWWN(wwid string) string {
	for _, p := range []string{"naa.", "eui.", "nvme.", "uuid."} {
		if strings.HasPrefix(wwid, p) {
			return wwid
		}
	}
	return ""
}

func vpdPage(dir, node string, page byte) []byte {
	name := "device/vpd_pg" + hex.EncodeToString([]byte{page})
	if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
		return b
	}
	return inquire(node, page)
}

// parseSerialPage reads the unit serial number page; anything malformed is no
// serial.
func parseSerialPage(b []byte) string {
	body, ok := pageBody(b, vpdSerial)
	if !ok {
		return ""
	}
	return strings.Trim(string(body), " \x00")
}

// parseIdentPage finds the NAA or else the EUI-64 name of the logical unit in
// the device identification page.
func parseIdentPage(b []byte) string {
	const codeBinary, assocLUN, typeEUI, typeNAA = 1, 0, 2, 3
	body, ok := pageBody(b, vpdIdent)
	if !ok {
		return ""
	}
	eui := ""
	for len(body) >= 4 {
		n := 4 + int(body[3])
		if n > len(body) {
			break
		}
		code, assoc, kind := body[0]&0x0f, body[1]>>4&3, body[1]&0x0f
		id := hex.EncodeToString(body[4:n])
		if code == codeBinary && assoc == assocLUN && id != "" {
			switch kind {
			case typeNAA:
				return "naa." + id
			case typeEUI:
				eui = "eui." + id
			}
		}
		body = body[n:]
	}
	return eui
}

func pageBody(b []byte, page byte) ([]byte, bool) {
	if len(b) < 4 || b[1] != page {
		return nil, false
	}
	n := int(binary.BigEndian.Uint16(b[2:4]))
	if n > len(b)-4 {
		return nil, false
	}
	return b[4 : 4+n], true
}
