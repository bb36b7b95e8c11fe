package driver

import (
	"context"
	"regexp"
)

func (l *redfishLink) systemUUID(context.Context) string { return l.uuid }

// systemGUID is the line of ipmitool that tells the GUID (IPMI 2.0, section 22.14).
var systemGUID = regexp.MustCompile(`(?mi)^System GUID\s*:\s*([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\s*$`)

// systemUUID asks for the GUID as the bytes come: what they mean vendors do not
// agree on. Not to be told is no error.
func (l *ipmiLink) systemUUID(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, l.call)
	defer cancel()
	out, err := l.exec(ctx, "mc", "guid", "rfc4122")
	if err != nil { // older ones know no encodings
		out, err = l.exec(ctx, "mc", "guid")
	}
	if m := systemGUID.FindStringSubmatch(out); err == nil && m != nil {
		return m[1]
	}
	return ""
}
