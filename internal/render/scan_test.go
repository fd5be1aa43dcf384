package render

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// A file is read whole, whatever it said of its size, and however it comes.
func TestReadUpTo(t *testing.T) {
	text := strings.Repeat("0123456789", 200)
	torn := errors.New("torn")
	for _, tt := range []struct {
		name string
		file io.Reader
		size int64
		want string
		err  error
	}{
		{"as it said", strings.NewReader(text), 2000, text, nil},
		{"more than it said", strings.NewReader(text), 100, text, nil},
		{"less than it said", strings.NewReader(text), 3000, text, nil},
		{"nothing, as it said", strings.NewReader(""), 0, "", nil},
		{"said nothing", strings.NewReader(text), 0, text, nil},
		{"in parts", iotest.OneByteReader(strings.NewReader(text)), 2000, text, nil},
		{"with its end", iotest.DataErrReader(strings.NewReader(text)), 2000, text, nil},
		{"more than the limit", strings.NewReader(text + text + text), 2000, text + text[:1000], nil},
		{"torn", iotest.ErrReader(torn), 2000, "", torn},
		{"torn later", io.MultiReader(strings.NewReader(text[:10]), iotest.ErrReader(torn)), 2000, text[:10], torn},
	} {
		got, err := readUpTo(tt.file, make([]byte, 10), tt.size, 3000)
		if string(got) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %d bytes, %v; want %d, %v", tt.name, len(got), err, len(tt.want), tt.err)
		}
	}
}
