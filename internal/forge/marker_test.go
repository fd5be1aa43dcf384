package forge

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitMarker(t *testing.T) {
	type split struct {
		Attrs map[string]string
		Rest  string
	}
	tests := map[string]struct {
		body string
		want split
	}{
		"marker":           {"<!-- prumo:plan key=lab v=1 head=ab -->\ntext", split{map[string]string{"key": "lab", "v": "1", "head": "ab"}, "text"}},
		"escaped":          {"<!-- prumo:plan key=my-%2Dlab base= -->\ntext", split{map[string]string{"key": "my--lab", "base": ""}, "text"}},
		"bad escape":       {"<!-- prumo:plan key=my%zz -->\ntext", split{map[string]string{"key": "my%zz"}, "text"}},
		"CRLF":             {"<!-- prumo:plan key=lab -->\r\na\r\nb\r\n", split{map[string]string{"key": "lab"}, "a\nb"}},
		"alone":            {"<!-- prumo:plan key=lab -->", split{map[string]string{"key": "lab"}, ""}},
		"second line":      {"\n<!-- prumo:plan key=lab -->", split{nil, "\n<!-- prumo:plan key=lab -->"}},
		"quoted":           {"> <!-- prumo:plan key=lab -->", split{nil, "> <!-- prumo:plan key=lab -->"}},
		"text behind":      {"<!-- prumo:plan key=lab --> hi", split{nil, "<!-- prumo:plan key=lab --> hi"}},
		"another tool's":   {"<!-- other:plan key=lab -->", split{nil, "<!-- other:plan key=lab -->"}},
		"no attributes":    {"<!-- prumo:plan -->", split{nil, "<!-- prumo:plan -->"}},
		"comment in value": {"<!-- prumo:plan key=a<!-- -->", split{nil, "<!-- prumo:plan key=a<!-- -->"}},
		"empty":            {"", split{nil, ""}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			attrs, rest := splitMarker(tt.body)
			if diff := cmp.Diff(tt.want, split{attrs, rest}); diff != "" {
				t.Errorf("splitMarker(%q) (-want +got):\n%s", tt.body, diff)
			}
		})
	}
}
