package forge

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strings"
)

var (
	markerLine = regexp.MustCompile(`^<!-- prumo:plan((?: [a-z]+=[^\s<>"]{0,200})+) -->$`)
	markerKey  = regexp.MustCompile(`^[A-Za-z0-9._:/-]{1,100}$`)
)

// splitMarker returns the attributes of the marker in the first line of a
// comment and what follows it; nil and the whole comment if there is none. A
// marker further down is text that somebody quoted.
func splitMarker(body string) (map[string]string, string) {
	body = normal(body)
	first, rest, _ := strings.Cut(body, "\n")
	m := markerLine.FindStringSubmatch(first)
	if m == nil {
		return nil, body
	}
	attrs := map[string]string{}
	for field := range strings.FieldsSeq(m[1]) {
		name, value, _ := strings.Cut(field, "=")
		if plain, err := url.PathUnescape(value); err == nil { // "--" may not stand in a comment of HTML
			value = plain
		}
		attrs[name] = value
	}
	return attrs, rest
}

// normal undoes what forges do to the text of a comment: line ends and trailing
// space change.
func normal(body string) string {
	return strings.TrimRight(strings.ReplaceAll(body, "\r\n", "\n"), " \t\r\n")
}

// withMarker returns body with a marker of the key in its first line.
func withMarker(key, body string) (string, error) {
	if !markerKey.MatchString(key) {
		return "", fmt.Errorf("marker key %q: want letters, digits and . _ : / - only", key)
	}
	attrs, _ := splitMarker(body)
	switch {
	case attrs == nil:
		return fmt.Sprintf("<!-- prumo:plan key=%s -->\n%s", strings.ReplaceAll(key, "--", "-%2D"), body), nil
	case attrs["key"] != key:
		return "", fmt.Errorf("its text carries the marker of %q, not of %q", attrs["key"], key)
	}
	return body, nil
}

// sameComment reports whether two comments say the same, whenever they were
// computed.
func sameComment(a, b string) bool {
	am, at := splitMarker(a)
	bm, bt := splitMarker(b)
	delete(am, "at")
	delete(bm, "at")
	return at == bt && maps.Equal(am, bm)
}
