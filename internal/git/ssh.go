package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// dialTimeout bounds how long an SSH server may take to greet.
const dialTimeout = 30 * time.Second

// An sshSource runs git-upload-pack at the other end of an SSH connection. It
// holds the connection itself, because go-git's cannot be cancelled while it
// dials and reads an advertisement of any length.
type sshSource struct {
	ep     *transport.Endpoint
	auth   Auth
	limits Limits
}

func (s *sshSource) fetch(ctx context.Context, what want, have *store, w io.Writer) (refs map[string]string, err error) {
	client, err := s.dial(ctx)
	if err != nil {
		return nil, remoteError(err)
	}
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { client.Close() })
	defer stop()
	session, err := client.NewSession()
	if err != nil {
		return nil, remoteError(err)
	}
	defer session.Close()
	stdin, err := session.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := session.StdoutPipe()
	if err != nil {
		return nil, err
	}
	words := &lastWords{}
	session.Stderr = words
	if err := session.Start("git-upload-pack " + shellQuote(s.ep.Path)); err != nil {
		return nil, remoteError(err)
	}
	refs, err = s.talk(what, have, stdin, stdout, w)
	if errors.Is(err, packp.ErrEmptyInput) { // it ended without a word of the protocol
		_ = session.Wait() // all of stderr is here after it
		return nil, fmt.Errorf("%w: %s", ErrRefMissing, cmp.Or(clean(words.String()), "no such repository"))
	}
	return refs, remoteError(err)
}

// talk is one fetch of the pack protocol, version 0 (gitprotocol-pack(5)).
func (s *sshSource) talk(what want, have *store, stdin io.WriteCloser, stdout io.Reader, w io.Writer) (map[string]string, error) {
	adv := packp.NewAdvRefs()
	switch err := adv.Decode(&cappedReader{r: stdout, left: maxAdvertisement}); {
	case errors.Is(err, packp.ErrEmptyAdvRefs):
		return nil, transport.ErrEmptyRemoteRepository
	case err != nil:
		return nil, err
	case adv.IsEmpty():
		return nil, transport.ErrEmptyRemoteRepository
	}
	transport.FilterUnsupportedCapabilities(adv.Capabilities)
	refs, err := advertised(adv, what)
	if err != nil {
		return nil, err
	}
	missing := have.missing(refs)
	if len(missing) == 0 {
		_, err := io.WriteString(stdin, "0000") // wants nothing
		return refs, err
	}
	req, err := packRequest(adv, missing, have)
	if err != nil {
		return nil, err
	}
	if err := sendRequest(stdin, req); err != nil {
		return nil, err
	}
	res := packp.NewUploadPackResponse(req)
	if err := res.Decode(io.NopCloser(&cappedReader{r: stdout, left: 2 * s.limits.PackBytes})); err != nil {
		return nil, err
	}
	return refs, copyPack(w, res, req.Capabilities)
}

func sendRequest(w io.WriteCloser, req *packp.UploadPackRequest) error {
	if err := req.UploadRequest.Encode(w); err != nil {
		return err
	}
	if err := req.UploadHaves.Encode(w, false); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "0009done\n"); err != nil {
		return err
	}
	return w.Close()
}

func (s *sshSource) dial(ctx context.Context) (*ssh.Client, error) {
	addr := net.JoinHostPort(s.ep.Host, strconv.Itoa(cmp.Or(s.ep.Port, 22)))
	method, release, err := s.authMethod()
	if err != nil {
		return nil, err
	}
	defer release()
	config, err := s.config(addr, method)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	c, channels, requests, err := ssh.NewClientConn(conn, addr, config)
	if err != nil {
		return nil, errors.Join(handshakeError(addr, err), ctx.Err(), ignoreClosed(conn.Close()))
	}
	return ssh.NewClient(c, channels, requests), nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func handshakeError(addr string, err error) error {
	switch {
	case knownhosts.IsHostUnknown(err):
		return fmt.Errorf("%w: add the line of %s to the known hosts, after checking it (ssh-keyscan %s)", ErrHostKey, addr, addr)
	case knownhosts.IsHostKeyChanged(err):
		return fmt.Errorf("%w: %s shows another key than the known hosts have: someone may be in between", ErrHostKey, addr)
	case strings.Contains(err.Error(), "unable to authenticate"):
		return fmt.Errorf("%w: %s", ErrAuth, clean(err.Error()))
	}
	return fmt.Errorf("%w: SSH handshake with %s: %s", ErrUnreachable, addr, clean(err.Error()))
}

func (s *sshSource) config(addr string, method ssh.AuthMethod) (*ssh.ClientConfig, error) {
	db, err := s.knownHosts()
	if err != nil {
		return nil, err
	}
	return &ssh.ClientConfig{
		User:              cmp.Or(s.auth.Username, s.ep.User, "git"),
		Auth:              []ssh.AuthMethod{method},
		HostKeyCallback:   db.HostKeyCallback(),
		HostKeyAlgorithms: db.HostKeyAlgorithms(addr), // else the server may offer a key of a type that is not in the file
	}, nil
}

// authMethod returns how to log in, and what to call once that is done.
func (s *sshSource) authMethod() (_ ssh.AuthMethod, release func(), _ error) {
	if len(s.auth.SSHKey) == 0 {
		socket := os.Getenv("SSH_AUTH_SOCK")
		if socket == "" {
			return nil, nil, fmt.Errorf("%w: no SSH key is given and no ssh-agent runs", ErrAuth)
		}
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return nil, nil, fmt.Errorf("reach the ssh-agent: %w", err)
		}
		return ssh.PublicKeysCallback(agent.NewClient(conn).Signers), func() { conn.Close() }, nil
	}
	signer, err := ssh.ParsePrivateKey(s.auth.SSHKey)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) && s.auth.Password != "" {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(s.auth.SSHKey, []byte(s.auth.Password))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: the SSH key cannot be read: %s", ErrAuth, clean(err.Error()))
	}
	return ssh.PublicKeys(signer), func() {}, nil
}

// knownHosts reads the given lines, else the files that ssh reads. The parser
// takes only files.
func (s *sshSource) knownHosts() (*knownhosts.HostKeyDB, error) {
	if len(s.auth.KnownHosts) == 0 {
		return knownHostsOf("/etc/ssh/ssh_known_hosts", filepath.Join(os.Getenv("HOME"), ".ssh", "known_hosts"))
	}
	dir, err := os.MkdirTemp("", "prumo-known-hosts-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(name, s.auth.KnownHosts, 0o600); err != nil {
		return nil, err
	}
	db, err := knownHostsOf(name)
	if err != nil { // in the words of who wrote the lines, who does not know this file
		return nil, fmt.Errorf("%w: %s", ErrHostKey, strings.ReplaceAll(strings.TrimPrefix(err.Error(), ErrHostKey.Error()+": "), name, "knownHostsFile"))
	}
	return db, nil
}

func knownHostsOf(names ...string) (*knownhosts.HostKeyDB, error) {
	var found []string
	for _, name := range names {
		if _, err := os.Stat(name); err == nil {
			found = append(found, name)
		}
	}
	db, err := knownhosts.NewDB(found...)
	if err != nil {
		return nil, fmt.Errorf("%w: the known hosts cannot be read: %s", ErrHostKey, clean(err.Error()))
	}
	return db, nil
}

// shellQuote quotes as git does (sq_quote_buf), which git-shell expects.
func shellQuote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(s) + "'"
}

// lastWords keeps the beginning of what a server says on stderr.
type lastWords struct{ strings.Builder }

func (l *lastWords) Write(b []byte) (int, error) {
	l.Builder.Write(b[:min(len(b), max(0, maxWords-l.Len()))])
	return len(b), nil
}
