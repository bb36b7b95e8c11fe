package pxe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"

	"github.com/pin/tftp/v3"
)

// maxBlock keeps a TFTP block in one Ethernet frame.
const maxBlock = 1468

// ServeTFTP answers reads on conn until ctx ends, then closes it. Block size
// and file size are negotiated; writes are refused.
func (s *Server) ServeTFTP(ctx context.Context, conn *net.UDPConn) error {
	slots := make(chan struct{}, s.cfg.Transfers)
	read := func(name string, rf io.ReaderFrom) error {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			s.cfg.Log.Warn("TFTP read refused: too many at once", "limit", s.cfg.Transfers, "path", clip(name))
			return errors.New("busy, try again")
		}
		return s.tftpRead(ctx, name, rf)
	}
	srv := tftp.NewServer(read, s.tftpWrite)
	srv.SetTimeout(s.cfg.TFTPTimeout)
	srv.SetRetries(s.cfg.TFTPRetries)
	srv.SetBlockSize(maxBlock)
	stop := context.AfterFunc(ctx, srv.Shutdown)
	defer stop()
	if err := srv.Serve(conn); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve TFTP on %s: %w", conn.LocalAddr(), err)
	}
	return nil
}

// tftpRead sends one file. What it returns as error, the client gets as an
// error packet.
func (s *Server) tftpRead(ctx context.Context, name string, rf io.ReaderFrom) (err error) {
	out, ok := rf.(tftp.OutgoingTransfer)
	if !ok {
		return errors.New("internal error")
	}
	peer := out.RemoteAddr()
	q := Request{Path: name, Client: addrOf(peer.String())}
	if info, ok := rf.(tftp.RequestPacketInfo); ok {
		q.Server, _ = netip.AddrFromSlice(info.LocalIP())
	}
	defer func() {
		// The library starts this goroutine: a panic here would end the server.
		if p := recover(); p != nil {
			s.cfg.Log.Error("TFTP read panicked", "client", q.Client, "path", clip(name), "panic", p, "stack", string(debug.Stack()))
			err = errors.New("internal error")
		}
	}()
	a, err := s.answer(ctx, q, false)
	if err != nil {
		s.cfg.Log.Info("boot file refused", "proto", "tftp", "client", q.Client, "path", clip(name), "err", err)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrBadName) {
			return err
		}
		return errors.New("cannot be served now")
	}
	src := io.Reader(strings.NewReader(a.Body))
	if a.File != nil {
		defer a.File.Close()
		src = a.File
	}
	if _, err := rf.ReadFrom(src); err != nil {
		// Firmware asks for the size and then breaks off: not worth a warning.
		s.cfg.Log.Debug("TFTP read ended early", "client", q.Client, "path", a.Path, "err", err)
		return nil
	}
	s.record(a, "tftp")
	return nil
}

func (s *Server) tftpWrite(name string, _ io.WriterTo) error {
	s.cfg.Log.Warn("TFTP write refused", "path", clip(name))
	return errors.New("this server is read only")
}

// clip shortens a name from the network for the log.
func clip(s string) string { return s[:min(len(s), maxName+1)] }
