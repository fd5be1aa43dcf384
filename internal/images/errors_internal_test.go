package images

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"testing"

	answers "github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// What a pull request shows of a registry's error holds no address of the house.
func TestPublicly(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 5000}, Err: errors.New("connection refused")}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&url.Error{Op: "Get", URL: "https://mirror.house.example/v2/", Err: dial}, "the registry does not answer"},
		{&net.DNSError{Err: "no such host", Name: "registry.house.example", Server: "10.0.0.53:53"}, "the registry does not answer"},
		{&answers.Error{StatusCode: http.StatusUnauthorized}, "the registry answers 401"},
		{fmt.Errorf("bundle: %w", &answers.Error{StatusCode: http.StatusBadGateway}), "the registry answers 502"},
		{errors.New(`HEAD https://10.1.2.3:5000/v2/x/manifests/1: unexpected status code 404 Not Found`),
			"(address) unexpected status code 404 Not Found"},
		{errors.New("read tcp 10.1.2.3:44712->[fd00::7%eth0]:5000: broken"), "read tcp (address)->(address): broken"},
		{errors.New("no matching signatures: 1.2 of 3.4"), "no matching signatures: 1.2 of 3.4"},
	} {
		if got := publicly(tt.err); got != tt.want {
			t.Errorf("%v: %q; want %q", tt.err, got, tt.want)
		}
	}
}
