//go:build linux

package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// message is what server and keeper say to each other, one at a time, with open
// files beside it.
type message struct {
	Seq   int    // of a request and its answer; 0: a program ended
	Op    string `json:",omitempty"`
	Cell  int
	User  int      `json:",omitempty"`
	Args  []string `json:",omitempty"`
	Env   []string `json:",omitempty"`
	Share string   `json:",omitempty"`
	// Out, Err and Program say which files come along, in that order.
	Out, Err, Program bool   `json:",omitempty"`
	Signal            int    `json:",omitempty"`
	Error             string `json:",omitempty"`
}

const (
	opOpen   = "open"
	opStart  = "start"
	opSignal = "signal"
	opClose  = "close"
)

const (
	maxMessage = 128 << 10
	maxPassed  = 4 // files of one message
)

func send(c *net.UnixConn, m message, files ...*os.File) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(data) > maxMessage {
		return fmt.Errorf("arguments and environment of a confined process have %d bytes, %d at most", len(data), maxMessage)
	}
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	_, _, err = c.WriteMsgUnix(data, rights, nil)
	return err
}

// receive reads one message. The caller closes the files.
func receive(c *net.UnixConn) (m message, files []*os.File, err error) {
	data, rights := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4*maxPassed))
	n, oob, flags, _, err := c.ReadMsgUnix(data, rights)
	if err != nil {
		return m, nil, err
	}
	list, err := unix.ParseSocketControlMessage(rights[:oob])
	if err != nil {
		return m, nil, err
	}
	for _, l := range list {
		fds, err := unix.ParseUnixRights(&l)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	if n == 0 || flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		shut(files)
		return m, nil, errors.New("the message is empty or cut off")
	}
	if err := json.Unmarshal(data[:n], &m); err != nil {
		shut(files)
		return m, nil, err
	}
	return m, files, nil
}

func shut(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// pair is a connection whose other end can be given to a child.
func pair() (here *net.UnixConn, there *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	here, err = connOf(os.NewFile(uintptr(fds[0]), "server"))
	return here, os.NewFile(uintptr(fds[1]), "keeper"), err
}

func connOf(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("it is no local socket"), c.Close())
	}
	return u, nil
}
