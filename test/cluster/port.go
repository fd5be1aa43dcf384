package cluster

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// A heldPort is a free loopback port that stays ours for as long as it is
// held. It is bound and never listened on: the API server, which shares it
// (SO_REUSEPORT), is the only one that answers, and while it is down nobody
// else is given the port.
type heldPort struct {
	fd   int
	port int
}

func holdPort() (*heldPort, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, fmt.Errorf("hold a port: %w", err)
	}
	unix.CloseOnExec(fd)
	h := &heldPort{fd: fd}
	if err := h.bind(); err != nil {
		_ = h.release()
		return nil, fmt.Errorf("hold a port on 127.0.0.1: %w", err)
	}
	return h, nil
}

func (h *heldPort) bind() error {
	if err := unix.SetsockoptInt(h.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return err
	}
	if err := unix.Bind(h.fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	addr, err := unix.Getsockname(h.fd)
	if err != nil {
		return err
	}
	in4, ok := addr.(*unix.SockaddrInet4)
	if !ok {
		return fmt.Errorf("bound to %T, not to an IPv4 address", addr)
	}
	h.port = in4.Port
	return nil
}

// String returns host:port.
func (h *heldPort) String() string { return net.JoinHostPort("127.0.0.1", fmt.Sprint(h.port)) }

func (h *heldPort) release() error { return unix.Close(h.fd) }
