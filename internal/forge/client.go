package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Bounds on what a forge may answer.
const (
	maxAnswer = 32 << 20 // bytes; Gitea sends all comments of a pull request as one page
	maxError  = 64 << 10 // bytes of an answer that only explains an error
	maxPages  = 50
	perPage   = 100 // GitHub's most; Gitea cuts it to its own, 50
)

// A request is one call of the API.
type request struct {
	what   string // completes "cannot …" in messages
	right  string // what the token must be allowed to do
	method string
	path   string // below the base URL
	query  string // encoded
	in     any    // sent as JSON unless nil
	out    any    // filled from JSON unless nil
}

// do sends a request and returns the query of the next page, empty if there is none.
func (g *GitHub) do(ctx context.Context, r request) (next string, err error) {
	req, err := g.build(ctx, r)
	if err != nil {
		return "", err
	}
	resp, err := g.client.Do(req)
	if err != nil {
		if ue := (*url.Error)(nil); errors.As(err, &ue) {
			err = ue.Err // without the URL, which the message names already
		}
		return "", g.fail(r, g.scrub(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return "", g.refused(r, resp)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return "", g.fail(r, err)
	}
	if len(data) > maxAnswer {
		return "", g.fail(r, fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20))
	}
	if r.out != nil {
		if err := json.Unmarshal(data, r.out); err != nil {
			return "", g.fail(r, fmt.Errorf("the answer is not the JSON of a forge (%w): is the URL that of the API, such as https://git.example/api/v1?", g.scrub(err)))
		}
	}
	return nextPage(resp.Header), nil
}

func (g *GitHub) build(ctx context.Context, r request) (*http.Request, error) {
	u := *g.base
	u.Path += r.path
	u.RawQuery = r.query
	var body io.Reader
	if r.in != nil {
		data, err := json.Marshal(r.in)
		if err != nil {
			return nil, g.fail(r, err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return nil, g.fail(r, err)
	}
	req.Header.Set("Authorization", "Bearer "+g.token)
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("User-Agent", "prumo-reconciler") // GitHub refuses requests without one
	if r.in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// pages sends a GET for each page of a list; each receives its JSON in turn.
func (g *GitHub) pages(ctx context.Context, r request, each func(json.RawMessage) error) error {
	// GitHub reads per_page, Gitea reads limit.
	size := strconv.Itoa(perPage)
	filter, err := url.ParseQuery(r.query)
	if err != nil {
		return g.fail(r, err)
	}
	filter.Set("per_page", size)
	filter.Set("limit", size)
	r.method, r.query = http.MethodGet, filter.Encode()
	for range maxPages {
		var page json.RawMessage
		r.out = &page
		next, err := g.do(ctx, r)
		if err != nil {
			return err
		}
		if err := each(page); err != nil {
			return g.fail(r, fmt.Errorf("the answer is not what a forge sends: %w", g.scrub(err)))
		}
		if next == "" {
			return nil
		}
		r.query = next
	}
	return g.fail(r, fmt.Errorf("more than %d pages: close what is no longer wanted", maxPages))
}

var link = regexp.MustCompile(`<([^>]*)>([^<]*)`)

// nextPage returns the query of the link with rel="next" (RFC 8288). The rest of
// the link is not followed: a server that does not know its own public address,
// or a hostile one, would lead elsewhere.
func nextPage(h http.Header) string {
	for _, m := range link.FindAllStringSubmatch(strings.Join(h.Values("Link"), ", "), -1) {
		if !strings.Contains(m[2], `rel="next"`) && !strings.Contains(m[2], "rel=next") {
			continue
		}
		if u, err := url.Parse(m[1]); err == nil {
			return u.RawQuery
		}
	}
	return ""
}
