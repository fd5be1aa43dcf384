package images

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"

	answers "github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// silent reports whether an error says only that a registry did not answer. What
// it answers beyond all bounds is an answer.
func silent(err error) bool {
	for _, bound := range []error{errRequests, errPlain, errPacked, errBody} {
		if errors.Is(err, bound) {
			return false
		}
	}
	if answer, ok := errors.AsType[*answers.Error](err); ok {
		switch answer.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
			return true
		}
		return answer.StatusCode >= http.StatusInternalServerError
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// addresses are the URLs of requests, and IP addresses with a port or without. Other
// URLs, such as the type of an attestation, lead nowhere.
var addresses = regexp.MustCompile(`(?i:get|head|post|put) "?[a-z]+://[^\s"']+|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?|\[[0-9a-fA-F:.%a-z]+\](?::\d+)?`)

// publicly says what went wrong without an address: whoever reads a pull request reads
// it. What a registry that does not answer leads to is told by libraries with the
// names and addresses of proxies, mirrors and resolvers, so none of it is repeated.
func publicly(err error) string {
	if silent(err) {
		if answer, ok := errors.AsType[*answers.Error](err); ok {
			return fmt.Sprintf("the registry answers %d", answer.StatusCode)
		}
		return "the registry does not answer"
	}
	return addresses.ReplaceAllString(oneLine(err).Error(), "(address)")
}

// A brief error is what a library says, as one line of a message.
type brief struct {
	text string
	err  error
}

func (b brief) Error() string { return b.text }
func (b brief) Unwrap() error { return b.err }

// oneLine shortens what libraries say.
func oneLine(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > 300 {
		text = text[:300] + "…"
	}
	return brief{text, err}
}
