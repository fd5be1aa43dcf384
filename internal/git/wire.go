package git

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// maxAdvertisement bounds the list of refs that a server sends first: about
// 500,000 refs.
const maxAdvertisement = 32 << 20

// maxHaves is how many commits of ours a server is told, newest first, so that
// it finds a common one also after a rewritten branch.
const maxHaves = 256

// advertised finds what is wanted in what a server advertises.
func advertised(adv *packp.AdvRefs, what want) (map[string]string, error) {
	if len(adv.Shallows) > 0 {
		return nil, errors.New("the remote is a shallow clone, which hides history: use a full one")
	}
	refs := map[string]string{}
	if what.ref == "HEAD" {
		if adv.Head == nil {
			return nil, fmt.Errorf("HEAD: %w", ErrRefMissing)
		}
		refs["HEAD"] = adv.Head.String()
		return refs, nil
	}
	for ref, id := range adv.References {
		if ref == what.ref {
			refs[ref] = id.String()
		}
		if err := what.collect(refs, ref, id.String()); err != nil {
			return nil, err
		}
	}
	if what.ref != "" && len(refs) == 0 {
		return nil, fmt.Errorf("%s: %w: it was deleted, or never pushed", what.ref, ErrRefMissing)
	}
	return refs, nil
}

// missing returns the objects that refs point to and the store does not have.
func (s *store) missing(refs map[string]string) []string {
	var ids []string
	for _, id := range refs {
		if !s.has(plumbing.NewHash(id)) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// packRequest asks for some objects, whole history, minus what the store has.
func packRequest(adv *packp.AdvRefs, ids []string, have *store) (*packp.UploadPackRequest, error) {
	req := packp.NewUploadPackRequestFromCapabilities(adv.Capabilities)
	if adv.Capabilities.Supports(capability.NoProgress) {
		if err := req.Capabilities.Set(capability.NoProgress); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		req.Wants = append(req.Wants, plumbing.NewHash(id))
	}
	haves, err := have.recent(maxHaves)
	if err != nil {
		return nil, err
	}
	for _, id := range haves {
		req.Haves = append(req.Haves, plumbing.NewHash(id))
	}
	return req, nil
}

// recent returns up to n commits that were fetched, breadth first from the refs.
func (s *store) recent(n int) ([]string, error) {
	ids, err := s.refs()
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for i := 0; i < len(ids) && len(ids) < n; i++ {
		raw, err := s.read(ids[i], plumbing.CommitObject, maxAdvertisement)
		if err != nil {
			return nil, err
		}
		for _, parent := range looseLinks(raw).parents {
			if !slices.Contains(ids, parent) {
				ids = append(ids, parent)
			}
		}
	}
	return ids, nil
}

// copyPack takes the pack out of a response; a server's own words of failure
// come in a band of their own.
func copyPack(w io.Writer, res io.Reader, caps *capability.List) error {
	switch {
	case caps.Supports(capability.Sideband64k):
		res = sideband.NewDemuxer(sideband.Sideband64k, res)
	case caps.Supports(capability.Sideband):
		res = sideband.NewDemuxer(sideband.Sideband, res)
	}
	_, err := io.Copy(w, res)
	return err
}

var errSHA256 = errors.New("the remote uses SHA-256 object ids, only SHA-1 is supported")

// maxWords bounds how much of a server's own words an error repeats.
const maxWords = 300

// remoteError makes a transport's error one that can be told apart and acted on.
func remoteError(err error) error {
	if err == nil {
		return nil
	}
	words := clean(err.Error())
	var netErr net.Error
	for _, ours := range []error{ErrLimit, ErrHostKey, ErrAuth, ErrRefMissing, ErrUnreachable} {
		if errors.Is(err, ours) {
			return err
		}
	}
	switch {
	case strings.Contains(words, "object-format=sha256"): // go-git fails on the longer ids
		return errSHA256
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		return fmt.Errorf("%w: %s", ErrAuth, words)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return fmt.Errorf("%w: the remote has no such repository, or hides it from these credentials", ErrRefMissing)
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return fmt.Errorf("%w: the repository is empty", ErrRefMissing)
	case errors.As(err, &netErr), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %s", ErrUnreachable, words)
	}
	return errors.New(words)
}

// clean makes a server's words fit for one line of a log or a terminal.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.TrimSpace(s)
	if len(s) > maxWords {
		s = strings.ToValidUTF8(s[:maxWords], "") + "…"
	}
	return s
}
