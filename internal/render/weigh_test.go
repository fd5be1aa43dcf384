package render

import (
	"encoding/json"
	"strings"
	"testing"
)

// What is weighed is never more than it is, and never much less.
func TestWeigh(t *testing.T) {
	for _, v := range []any{nil, true, "text", int64(12345), 1.5, []any{}, map[string]any{},
		map[string]any{"a": []any{"b", map[string]any{"c": "d"}, int64(1)}, "e": strings.Repeat("f", 1000)}} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if n := weigh(v, 10_000); n > len(text)+1 || n < len(text)/5 { // one comma that is not there
			t.Errorf("%s: weighs %d, has %d bytes", text, n, len(text))
		}
	}
	many := []any{strings.Repeat("x", 60), strings.Repeat("x", 60), strings.Repeat("x", 60)}
	if n := weigh(many, 100); n <= 100 || n > 150 {
		t.Errorf("stopped at %d, want soon after 100", n)
	}
}
