package git

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
)

// maxChain is how many deltas may build on each other; git itself writes 50.
const maxChain = 250

// A packSize is what a pack holds.
type packSize struct {
	Bytes, Inflated int64
	Objects         int
}

// measurePack reads a whole pack (gitformat-pack(5)) and refuses it if any
// object, or all of them, would be larger than the limits allow. It keeps
// nothing of what it inflates, and stops inflating where the declared size ends:
// go-git believes the pack and would hold a zip bomb in memory.
func measurePack(ctx context.Context, r io.Reader, l Limits) (packSize, error) {
	p := &packReader{r: bufio.NewReaderSize(r, 64<<10), chain: map[int64]int{}}
	var head [12]byte
	if _, err := io.ReadFull(p, head[:]); err != nil {
		return packSize{}, fmt.Errorf("the pack ends early: %w", err)
	}
	if !bytes.HasPrefix(head[:], []byte("PACK\x00\x00\x00\x02")) {
		return packSize{}, fmt.Errorf("not a pack of version 2")
	}
	n := int64(binary.BigEndian.Uint32(head[8:]))
	if n > int64(l.PackObjects) {
		return packSize{}, fmt.Errorf("the pack holds %d objects: %w of %d (pack objects)", n, ErrLimit, l.PackObjects)
	}
	for i := range n {
		if i%256 == 0 && ctx.Err() != nil {
			return packSize{}, ctx.Err()
		}
		if err := p.object(l); err != nil {
			return packSize{}, fmt.Errorf("object %d of %d in the pack: %w", i+1, n, err)
		}
	}
	if rest, err := io.Copy(io.Discard, p); err != nil || rest != sha1.Size {
		return packSize{}, fmt.Errorf("the pack ends with %d bytes instead of a checksum (%w)", rest, err)
	}
	return packSize{Bytes: p.pos, Inflated: p.inflated, Objects: int(n)}, nil
}

// A packReader counts what it reads. It is an io.ByteReader so that zlib reads
// no byte too many.
type packReader struct {
	r        *bufio.Reader
	z        io.ReadCloser
	pos      int64
	inflated int64         // of all objects so far, deltas counted as their result
	chain    map[int64]int // offset of a delta -> deltas below it
}

func (p *packReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.pos += int64(n)
	return n, err
}

func (p *packReader) ReadByte() (byte, error) {
	b, err := p.r.ReadByte()
	if err == nil {
		p.pos++
	}
	return b, err
}

func (p *packReader) object(l Limits) error {
	start := p.pos
	b, err := p.ReadByte()
	if err != nil {
		return err
	}
	typ, size := plumbing.ObjectType(b>>4&7), int64(b&15)
	if b&0x80 != 0 {
		more, err := readVarint(p)
		if err != nil {
			return err
		}
		size |= more << 4
	}
	switch typ {
	case plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject, plumbing.TagObject:
	case plumbing.OFSDeltaObject:
		if err := p.deltaBase(start); err != nil {
			return err
		}
	default: // references to bases are for packs that lean on other packs: never asked for
		return fmt.Errorf("object type %d is not allowed", typ)
	}
	if err := checkObjectSize(size, l); err != nil {
		return err
	}
	result, err := p.inflate(typ, size)
	if err != nil {
		return err
	}
	if err := checkObjectSize(result, l); err != nil {
		return err
	}
	if p.inflated += result; p.inflated > l.InflatedBytes {
		return fmt.Errorf("the pack inflates to more than %d bytes: %w (inflated bytes)", l.InflatedBytes, ErrLimit)
	}
	return nil
}

func checkObjectSize(size int64, l Limits) error {
	if size < 0 || size > l.ObjectBytes {
		return fmt.Errorf("%d bytes: %w of %d (object bytes); large files do not belong in the repo", size, ErrLimit, l.ObjectBytes)
	}
	return nil
}

// deltaBase reads how far back the base lies and bounds the chain of deltas.
func (p *packReader) deltaBase(start int64) error {
	b, err := p.ReadByte()
	if err != nil {
		return err
	}
	back := int64(b & 0x7f)
	for b&0x80 != 0 {
		if b, err = p.ReadByte(); err != nil {
			return err
		}
		if back = (back+1)<<7 | int64(b&0x7f); back > start {
			break
		}
	}
	if back <= 0 || back > start {
		return fmt.Errorf("delta base %d bytes back lies outside the pack", back)
	}
	depth := p.chain[start-back] + 1
	if depth > maxChain {
		return fmt.Errorf("more than %d deltas build on each other: %w", maxChain, ErrLimit)
	}
	p.chain[start] = depth
	return nil
}

// inflate skips the content of an object and returns how large the object will
// be, which for a delta is what its own head says.
func (p *packReader) inflate(typ plumbing.ObjectType, size int64) (int64, error) {
	if p.z == nil {
		z, err := zlib.NewReader(p)
		if err != nil {
			return 0, err
		}
		p.z = z
	} else if err := p.z.(zlib.Resetter).Reset(p, nil); err != nil {
		return 0, err
	}
	var head bytes.Buffer // two sizes of at most 10 bytes
	if _, err := io.CopyN(&head, p.z, min(size, 20)); err != nil {
		return 0, fmt.Errorf("ends early: %w", err)
	}
	rest := size - int64(head.Len())
	n, err := io.Copy(io.Discard, io.LimitReader(p.z, rest+1))
	if err != nil {
		return 0, err
	}
	if n != rest {
		return 0, fmt.Errorf("is not the %d bytes that its header says", size)
	}
	if typ != plumbing.OFSDeltaObject {
		return size, nil
	}
	_, err1 := readVarint(&head) // size of the base
	result, err2 := readVarint(&head)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("delta without sizes: %w", err)
	}
	return result, nil
}

// readVarint reads a number of 7-bit groups, lowest first. What does not fit 56
// bits is over every limit.
func readVarint(r io.ByteReader) (int64, error) {
	var n int64
	for shift := 0; shift < 56; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		n |= int64(b&0x7f) << shift
		if b&0x80 == 0 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("a size of more than 56 bits: %w", ErrLimit)
}

// A packWriter writes objects as a pack.
type packWriter struct {
	w   io.Writer
	pos counter      // bytes written
	z   *zlib.Writer // onto w; kept, as a new one takes 800 KiB
	sum hash.Hash
}

// A counter counts what is written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// newPackWriter begins a pack of n objects.
func newPackWriter(w io.Writer, n int) (*packWriter, error) {
	p := &packWriter{sum: sha1.New()}
	p.w = io.MultiWriter(w, p.sum, &p.pos)
	p.z = zlib.NewWriter(p.w)
	head := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(n))
	_, err := p.w.Write(head)
	return p, err
}

// add writes an object whole.
func (p *packWriter) add(typ plumbing.ObjectType, data []byte) error { return p.entry(typ, nil, data) }

// addDelta writes an object as what differs from one that begins at another
// offset before it.
func (p *packWriter) addDelta(base int64, delta []byte) error {
	back := int64(p.pos) - base
	offset := []byte{byte(back & 0x7f)}
	for back >>= 7; back > 0; back >>= 7 {
		back--
		offset = append(offset, byte(back&0x7f)|0x80)
	}
	slices.Reverse(offset)
	return p.entry(plumbing.OFSDeltaObject, offset, delta)
}

func (p *packWriter) entry(typ plumbing.ObjectType, base, data []byte) error {
	size := len(data)
	head := []byte{byte(typ)<<4 | byte(size&15)}
	for size >>= 4; size > 0; size >>= 7 {
		head[len(head)-1] |= 0x80
		head = append(head, byte(size&0x7f))
	}
	if _, err := p.w.Write(append(head, base...)); err != nil {
		return err
	}
	p.z.Reset(p.w)
	if _, err := p.z.Write(data); err != nil {
		return err
	}
	return p.z.Close()
}

// close writes the checksum.
func (p *packWriter) close() error {
	_, err := p.w.Write(p.sum.Sum(nil))
	return err
}
