package render

import "crypto/sha256"

// A hasher hashes parts so that no two lists of parts hash alike.
type hasher struct{ buf []byte }

func newHash(what string, first []byte) *hasher {
	h := &hasher{}
	h.add(what, first)
	return h
}

func (h *hasher) add(name string, data []byte) {
	sum := sha256.Sum256(data)
	h.buf = append(h.buf, byte(len(name)>>8), byte(len(name)))
	h.buf = append(h.buf, name...)
	h.buf = append(h.buf, sum[:]...)
}

func (h *hasher) sum() [32]byte { return sha256.Sum256(h.buf) }
