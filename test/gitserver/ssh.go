package gitserver

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// SSH serves the bare repositories below a folder, for reading.
type SSH struct {
	*listener
	root    string
	config  *ssh.ServerConfig
	hostKey ssh.PublicKey
	wg      sync.WaitGroup
}

// StartSSH starts a server with a new host key for the holders of keys, given as
// lines of authorized_keys.
func StartSSH(root string, authorized ...string) (*SSH, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	var allowed [][]byte
	for _, line := range authorized {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return nil, fmt.Errorf("authorized key: %w", err)
		}
		allowed = append(allowed, key.Marshal())
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		for _, a := range allowed {
			if bytes.Equal(a, key.Marshal()) {
				return nil, nil
			}
		}
		return nil, errors.New("key not authorized")
	}}
	config.AddHostKey(signer)
	l, err := listen()
	if err != nil {
		return nil, err
	}
	s := &SSH{listener: l, root: root, config: config, hostKey: signer.PublicKey()}
	s.wg.Go(s.serve)
	return s, nil
}

// URL returns where a repository below the root is served.
func (s *SSH) URL(repo string) string { return "ssh://git@" + s.Addr().String() + "/" + repo }

// KnownHosts returns the line that makes clients trust this server.
func (s *SSH) KnownHosts() []byte {
	return []byte(knownhosts.Line([]string{s.Addr().String()}, s.hostKey) + "\n")
}

// Stop ends the server and its connections, and waits for what they run.
func (s *SSH) Stop() {
	s.Close()
	s.SetDown(true)
	s.wg.Wait()
}

func (s *SSH) serve() {
	for {
		c, err := s.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() { s.serveConn(c) })
	}
}

func (s *SSH) serveConn(c net.Conn) {
	defer c.Close()
	server, channels, requests, err := ssh.NewServerConn(c, s.config)
	if err != nil {
		return
	}
	defer server.Close()
	s.wg.Go(func() { ssh.DiscardRequests(requests) })
	for ch := range channels {
		if ch.ChannelType() != "session" {
			_ = ch.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		channel, requests, err := ch.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() { s.serveSession(channel, requests) })
	}
}

func (s *SSH) serveSession(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for req := range requests {
		var exec struct{ Command string }
		if req.Type != "exec" || ssh.Unmarshal(req.Payload, &exec) != nil {
			_ = req.Reply(false, nil)
			continue
		}
		_ = req.Reply(true, nil)
		s.wg.Go(func() { // the client is gone when requests end
			for range requests {
			}
			cancel()
		})
		status := struct{ Status uint32 }{s.run(ctx, exec.Command, channel)}
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(status))
		return
	}
}

// run serves one fetch and returns the exit status.
func (s *SSH) run(ctx context.Context, command string, channel ssh.Channel) uint32 {
	quoted, ok := strings.CutPrefix(command, "git-upload-pack ")
	name := strings.Trim(quoted, "'")
	if !ok || !filepath.IsLocal(strings.TrimPrefix(name, "/")) {
		fmt.Fprintln(channel.Stderr(), "only git-upload-pack is served")
		return 128
	}
	cmd := exec.CommandContext(ctx, "git", "upload-pack", filepath.Join(s.root, name))
	cmd.Env = gitEnv()
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 1
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(channel.Stderr(), err)
		return 1
	}
	go func() { // ends with the channel; Wait must not wait for it
		_, _ = io.Copy(stdin, channel)
		stdin.Close()
	}()
	if cmd.Wait() != nil {
		return 128
	}
	return 0
}
