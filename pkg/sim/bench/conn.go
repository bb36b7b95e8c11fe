package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
)

// conn is one keep-alive connection of a client that costs little itself: the
// server shares the machine with it.
type conn struct {
	net.Conn
	in   *bufio.Reader
	head string // of every request: host and credentials
	out  []byte
	body bytes.Buffer
}

func dial(addr string, secure bool, credentials string) (*conn, error) {
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if secure {
		raw = tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) // the server is our child
	}
	head := " HTTP/1.1\r\nHost: " + addr + "\r\nAuthorization: " + credentials + "\r\nContent-Type: application/json\r\n"
	return &conn{Conn: raw, in: bufio.NewReaderSize(raw, 64<<10), head: head}, nil
}

// do sends one request and returns the status and the body of the reply, which
// is valid until the next call.
func (c *conn) do(method, path string, body []byte) (int, []byte, error) {
	c.out = append(c.out[:0], method...)
	c.out = append(c.out, " /api/v3/"...)
	c.out = append(c.out, path...)
	c.out = append(c.out, c.head...)
	c.out = append(c.out, "Content-Length: "...)
	c.out = strconv.AppendInt(c.out, int64(len(body)), 10)
	c.out = append(c.out, "\r\n\r\n"...)
	c.out = append(c.out, body...)
	if _, err := c.Write(c.out); err != nil {
		return 0, nil, err
	}
	return c.receive()
}

// want is do for one expected status.
func (c *conn) want(status int, method, path string, body []byte) ([]byte, error) {
	got, reply, err := c.do(method, path, body)
	if err == nil && got != status {
		err = fmt.Errorf("%s %s: status %d, want %d: %.300s", method, path, got, status, reply)
	}
	return reply, err
}

func (c *conn) receive() (status int, body []byte, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(line) < 12 {
		return 0, nil, fmt.Errorf("reply begins with %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, err
	}
	size, chunked, err := c.headers()
	if err != nil {
		return 0, nil, err
	}
	c.body.Reset()
	if chunked {
		err = c.chunks()
	} else {
		_, err = io.CopyN(&c.body, c.in, size)
	}
	return status, c.body.Bytes(), err
}

func (c *conn) headers() (size int64, chunked bool, err error) {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return size, chunked, nil
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case string(name) == "Content-Length":
			if size, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return 0, false, err
			}
		case string(name) == "Transfer-Encoding":
			chunked = true
		}
	}
}

// chunks reads a chunked body; the replies of a list are long.
func (c *conn) chunks() error {
	for {
		line, err := textproto.NewReader(c.in).ReadLine()
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(line), 16, 64)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(&c.body, c.in, n); err != nil {
			return err
		}
		if _, err := c.in.Discard(2); err != nil || n == 0 {
			return err
		}
	}
}
