package driver

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"
)

// The protocols a Target can name.
const (
	ModeRedfish = "redfish"
	ModeIPMI    = "ipmitool"
)

// Limits of IPMI 2.0 (section 22.30): longer credentials cannot be stored in a BMC.
const (
	maxIPMIUser     = 16
	maxIPMIPassword = 20
)

// Target says how one controller is reached. Its text forms hide the password.
type Target struct {
	Mode    string // ModeRedfish or ModeIPMI
	Address string // IP address or host name, without port or brackets
	Port    int    // 0: 443 for Redfish (80 with PlainHTTP), 623 for IPMI

	User     string
	Password string `json:"-"`

	// CipherSuite is the IPMI cipher suite; empty tries 17, then 3. Suite 0 lets
	// anybody in and is refused.
	CipherSuite string

	// TLSPin is the SHA-256 of the controller's certificate in hexadecimal,
	// colons allowed; set, it replaces all other certificate checks.
	TLSPin string
	// InsecureTLS accepts any certificate: whoever is on the wire gets the password.
	InsecureTLS bool
	// PlainHTTP speaks Redfish without TLS (emulators).
	PlainHTTP bool

	// SystemName is the Name or Id of the Redfish system; empty if there is but one.
	SystemName string
}

var (
	addressForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.:_%-]{0,252}[A-Za-z0-9])?$|^::[0-9A-Fa-f:.]*$`)
	suiteForm   = regexp.MustCompile(`^[0-9]{1,3}$`)
)

// String names the target without its password.
func (t Target) String() string { return fmt.Sprintf("%s://%s@%s", t.Mode, t.User, t.hostPort()) }

// GoString is String, so that %#v hides the password as well.
func (t Target) GoString() string { return t.String() }

// LogValue is what slog shows of a target.
func (t Target) LogValue() slog.Value { return slog.StringValue(t.String()) }

func (t Target) port() int {
	switch {
	case t.Port != 0:
		return t.Port
	case t.Mode == ModeIPMI:
		return 623
	case t.PlainHTTP:
		return 80
	}
	return 443
}

// host is the address as libraries want it that append the port to it.
func (t Target) host() string {
	if strings.Contains(t.Address, ":") {
		return "[" + t.Address + "]"
	}
	return t.Address
}

func (t Target) hostPort() string { return net.JoinHostPort(t.Address, strconv.Itoa(t.port())) }

func (t Target) validate() error {
	switch {
	case t.Mode != ModeRedfish && t.Mode != ModeIPMI:
		return fmt.Errorf("mode %q is unknown: use %q or %q", t.Mode, ModeRedfish, ModeIPMI)
	case !addressForm.MatchString(t.Address):
		return fmt.Errorf("address %.60q is neither an IP address nor a host name", t.Address)
	case t.Port < 0 || t.Port > 65535:
		return fmt.Errorf("port %d is not within 0 to 65535", t.Port)
	case strings.ContainsAny(t.User+t.Password, "\x00\r\n"):
		return errors.New("user or password contains a line break or a zero byte")
	case t.Mode == ModeIPMI:
		return t.validateIPMI()
	}
	return t.validateRedfish()
}

func (t Target) validateIPMI() error {
	switch {
	case len(t.User) > maxIPMIUser:
		return fmt.Errorf("user has %d bytes, IPMI allows %d", len(t.User), maxIPMIUser)
	case len(t.Password) > maxIPMIPassword:
		return fmt.Errorf("password has %d bytes, IPMI allows %d", len(t.Password), maxIPMIPassword)
	case t.CipherSuite == "":
		return nil
	case !suiteForm.MatchString(t.CipherSuite):
		return fmt.Errorf("cipher suite %.20q is not a number", t.CipherSuite)
	case strings.Trim(t.CipherSuite, "0") == "":
		return errors.New("cipher suite 0 has no authentication and is never used: name another, such as 17 or 3")
	}
	return nil
}

func (t Target) validateRedfish() error {
	if strings.Contains(t.User, ":") {
		return errors.New("user contains a colon, which HTTP basic authentication cannot carry")
	}
	if _, err := t.pin(); err != nil {
		return err
	}
	return nil
}

// pin returns TLSPin as bytes, nil if there is none.
func (t Target) pin() ([]byte, error) {
	if t.TLSPin == "" {
		return nil, nil
	}
	sum, err := hex.DecodeString(strings.ReplaceAll(t.TLSPin, ":", ""))
	if err != nil || len(sum) != 32 {
		return nil, errors.New("TLS pin is not a SHA-256 in hexadecimal (64 digits)")
	}
	return sum, nil
}
