package render

import (
	"testing"

	"cuelang.org/go/cue/cuecontext"
)

// What a schema takes is said in words, as far as there are words for it.
func TestBounds(t *testing.T) {
	for _, tt := range []struct{ schema, want string }{
		{"int", "a whole number"},
		{"uint", "a whole number, at least 0"},
		{"int & >=1 & <=8", "a whole number from 1 to 8"},
		{"uint & >=1024 & <=65535", "a whole number from 1024 to 65535"},
		{"int & >1 & <8", "a whole number, more than 1 and less than 8"},
		{"number & <=0.5", "a number, at most 0.5"},
		{">=0", "a number, at least 0"},
		{"string", "text"},
		{`=~"^a"`, "text that matches ^a"},
		{`=~"^a" & =~"z$"`, "text that matches ^a and z$"},
		{`string & !="x"`, ""},
		{`int & !=3`, ""},
		{`"x" | string`, ""},
		{"bool", ""},
		{"7", ""},
		{"null | int", ""},
	} {
		if got := bounds(cuecontext.New().CompileString(tt.schema)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.schema, got, tt.want)
		}
	}
}
