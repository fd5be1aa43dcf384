package git

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// rawPack joins objects that are already encoded.
func rawPack(objects ...[]byte) []byte {
	var b bytes.Buffer
	p, _ := newPackWriter(&b, len(objects))
	for _, o := range objects {
		_, _ = p.w.Write(o)
	}
	_ = p.close()
	return b.Bytes()
}

// rawObject says that it has size bytes, and has content.
func rawObject(typ plumbing.ObjectType, size int, base []byte, content string) []byte {
	head := []byte{byte(typ)<<4 | byte(size&15)}
	for size >>= 4; size > 0; size >>= 7 {
		head[len(head)-1] |= 0x80
		head = append(head, byte(size&0x7f))
	}
	var b bytes.Buffer
	b.Write(append(head, base...))
	z := zlib.NewWriter(&b)
	_, _ = io.WriteString(z, content)
	_ = z.Close()
	return b.Bytes()
}

func TestMeasurePack(t *testing.T) {
	var b bytes.Buffer
	p, err := newPackWriter(&b, 2)
	if err != nil {
		t.Fatal(err)
	}
	content := strings.Repeat("x", 5000)
	if err := errors.Join(p.add(plumbing.BlobObject, []byte(content)), p.add(plumbing.BlobObject, nil), p.close()); err != nil {
		t.Fatal(err)
	}
	got, err := measurePack(t.Context(), &b, Limits{}.withDefaults())
	if err != nil || got.Objects != 2 || got.Inflated != 5000 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestMeasurePackRefuses(t *testing.T) {
	blob := rawObject(plumbing.BlobObject, 4, nil, "base")
	delta := func(back int, content string) []byte {
		return rawObject(plumbing.OFSDeltaObject, len(content), []byte{byte(back)}, content)
	}
	small := "\x04\x04\x90\x04" // 4 bytes from 4 bytes: copy all
	chain := [][]byte{blob}
	for range maxChain + 1 {
		chain = append(chain, delta(len(chain[len(chain)-1]), small))
	}
	good := rawPack(blob, delta(len(blob), small))
	if _, err := measurePack(t.Context(), bytes.NewReader(good), Limits{}.withDefaults()); err != nil {
		t.Fatal(err)
	}
	huge := rawPack()
	copy(huge[8:12], "\xff\xff\xff\xff")
	tests := map[string]struct {
		pack  []byte
		limit bool
		words string
	}{
		"empty":                    {nil, false, "ends early"},
		"not a pack":               {[]byte("<html>not found</html>"), false, "not a pack"},
		"cut off":                  {good[:len(good)-25], false, "object 2"},
		"no checksum":              {good[:len(good)-20], false, "checksum"},
		"trailing bytes":           {append(bytes.Clone(good), 'x'), false, "checksum"},
		"4 billion objects":        {huge, true, "pack objects"},
		"too large":                {rawPack(rawObject(plumbing.BlobObject, 1<<20, nil, "")), true, "object bytes"},
		"longer than it says":      {rawPack(rawObject(plumbing.BlobObject, 10, nil, strings.Repeat("0", 1<<20))), false, "10 bytes"},
		"shorter than it says":     {rawPack(rawObject(plumbing.BlobObject, 10, nil, "0")), false, "ends early"},
		"a delta that grows":       {rawPack(blob, delta(len(blob), "\x04\x80\x80\x80\x10")), true, "object bytes"},
		"a delta without sizes":    {rawPack(blob, delta(len(blob), "\x04\x80")), false, "sizes"},
		"a delta of what is ahead": {rawPack(delta(100, small)), false, "outside the pack"},
		"a delta of itself":        {rawPack(blob, delta(0, small)), false, "outside the pack"},
		"a base elsewhere":         {rawPack(rawObject(plumbing.REFDeltaObject, 4, bytes.Repeat([]byte{1}, 20), small)), false, "not allowed"},
		"type 5":                   {rawPack(rawObject(5, 1, nil, "x")), false, "not allowed"},
		"a long chain":             {rawPack(chain...), true, "build on each other"},
		"a size without end":       {rawPack(bytes.Repeat([]byte{0xb0}, 20)), true, "56 bits"},
	}
	l := Limits{ObjectBytes: 1 << 16}.withDefaults()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := measurePack(t.Context(), bytes.NewReader(test.pack), l)
			if err == nil || errors.Is(err, ErrLimit) != test.limit || !strings.Contains(err.Error(), test.words) {
				t.Errorf("error %v, want %q", err, test.words)
			}
		})
	}
}
