package forge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxWait bounds how long a forge may send us away.
const maxWait = time.Hour

// RateLimited is the error of a forge that wants no more requests for a while.
type RateLimited struct {
	Until time.Time // at most an hour ahead
}

// Error says until when.
func (e *RateLimited) Error() string {
	return "the forge accepts no more requests until " + e.Until.UTC().Format(time.RFC3339) + " (rate limit)"
}

// errNotFound marks a 404, whose meaning depends on what was asked.
var errNotFound = errors.New("not found")

// fail says which call failed and why.
func (g *GitHub) fail(r request, err error) error {
	return fmt.Errorf("cannot %s at %s: %w", r.what, g.base.Host, err)
}

// scrub returns err without the token, which a server may send back in any text.
func (g *GitHub) scrub(err error) error {
	if strings.Contains(err.Error(), g.token) {
		return errors.New(g.redact(err.Error()))
	}
	return err
}

func (g *GitHub) redact(s string) string { return strings.ReplaceAll(s, g.token, "(token)") }

// refused turns an answer that is no success into a sentence with a remedy.
func (g *GitHub) refused(r request, resp *http.Response) error {
	said := g.said(resp.Body)
	if until, ok := rateLimit(resp, said, time.Now()); ok {
		return g.fail(r, &RateLimited{Until: until})
	}
	suffix := fmt.Sprintf(" (%d", resp.StatusCode)
	if said != "" {
		suffix += ": " + said
	}
	suffix += ")"
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized:
		return g.fail(r, errors.New("the token is wrong, revoked or expired: make a new one"+suffix))
	case code == http.StatusForbidden:
		return g.fail(r, errors.New("the token may not: give it "+r.right+suffix))
	case code == http.StatusNotFound:
		return g.fail(r, fmt.Errorf("%w, or hidden from the token: check the URL and the name, and give the token's account access to %s%s", errNotFound, g.repo, suffix))
	case code == http.StatusUnprocessableEntity:
		return g.fail(r, errors.New("the forge does not accept what was sent"+suffix))
	case code >= 500:
		return g.fail(r, errors.New("the forge failed; try again later"+suffix))
	default:
		return g.fail(r, errors.New("unexpected answer: is the URL that of the API?"+suffix))
	}
}

// said returns the message of an error answer: one short printable line, or
// nothing if it is not the JSON of a forge.
func (g *GitHub) said(body io.Reader) string {
	data, _ := io.ReadAll(io.LimitReader(body, maxError))
	var answer struct {
		Message string
		Errors  json.RawMessage
	}
	if json.Unmarshal(data, &answer) != nil {
		return ""
	}
	msg := answer.Message
	var details []struct{ Message string }
	if json.Unmarshal(answer.Errors, &details) == nil {
		for _, d := range details {
			msg += "; " + d.Message
		}
	}
	msg = strings.Join(strings.FieldsFunc(g.redact(msg), func(r rune) bool { return r <= ' ' || !strconv.IsPrint(r) }), " ")
	if runes := []rune(msg); len(runes) > 300 {
		msg = string(runes[:300]) + "…"
	}
	return msg
}

// rateLimit reports whether an answer means "too many requests", and until when.
// GitHub also answers 403, with the limit used up (primary), with Retry-After, or
// with nothing but a text (secondary; it then asks for a minute).
func rateLimit(resp *http.Response, said string, now time.Time) (time.Time, bool) {
	h := resp.Header
	spent := h.Get("X-RateLimit-Remaining") == "0"
	retry := h.Get("Retry-After")
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
	case http.StatusForbidden:
		if !spent && retry == "" && !strings.Contains(strings.ToLower(said), "rate limit") {
			return time.Time{}, false
		}
	default:
		return time.Time{}, false
	}
	until := now.Add(time.Minute)
	if seconds, err := strconv.ParseUint(retry, 10, 31); err == nil {
		until = now.Add(time.Duration(seconds) * time.Second)
	} else if date, err := http.ParseTime(retry); err == nil {
		until = date
	} else if reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil && spent {
		until = time.Unix(reset, 0)
	}
	if latest := now.Add(maxWait); until.After(latest) {
		until = latest
	}
	if until.Before(now) {
		until = now
	}
	return until, true
}
