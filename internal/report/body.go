package report

import (
	"fmt"
	"strings"

	"prumo.dev/prumo/internal/core"
)

// spare is kept free for the lines that say what was left out, which are added
// without asking (must).
const spare = 1_000

// A body is a comment that is being written, in bounded room.
type body struct {
	strings.Builder
	room int // bytes, all in all
}

// must adds what is always there. Its callers bound it.
func (b *body) must(s string) { b.WriteString(s) }

// add adds s if there is room.
func (b *body) add(s string) bool {
	if b.Len()+len(s)+spare > b.room {
		return false
	}
	b.WriteString(s)
	return true
}

// unwrite takes the suffix s back, for which room was reserved.
func (b *body) unwrite(s string) {
	text := strings.TrimSuffix(b.String(), s)
	b.Reset()
	b.WriteString(text)
}

// rows adds at most tableRows rows, and how many more there are. They may take
// at most half of the room that is left.
func (b *body) rows(rows []string, more string) {
	room := (b.room - b.Len()) / 2
	for i, row := range rows {
		room -= len(row)
		if i == tableRows || room < 0 || !b.add(row) {
			b.must(fmt.Sprintf(more, len(rows)-i))
			return
		}
	}
}

// addFold adds an object's difference, whole if there is room, else cut at a
// line if a good part of it fits. It reports whether any of it is shown; an
// object without a difference counts as shown.
func (b *body) addFold(c core.Change) bool {
	if len(c.Fields) > 0 && b.Len()+spare+100 > b.room {
		return false // full: do not even write the difference
	}
	diff := changeDiff(c)
	whole := folded(c, diff)
	if b.add(whole) {
		return true
	}
	const frame = 2_000 // more than the fold's frame, names included
	room := b.room - b.Len() - spare - frame
	if room < 2_000 {
		return false
	}
	end := strings.LastIndexByte(diff[:min(room, len(diff))], '\n')
	if end < 0 {
		return false
	}
	return b.add(folded(c, diff[:end+1]+"  … cut here\n"))
}
