package trust

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// refTrailer is the trailer by which a commit says which branch it is for.
const refTrailer = "Prumo-Ref"

var (
	trailerLine = regexp.MustCompile(`^([A-Za-z0-9-]+)[ \t]*:`)
	pickedLine  = regexp.MustCompile(`^\(cherry picked from commit [0-9a-f]{40}\)$`)
)

// scissors is the line below which git reads nothing of a message.
const scissors = "------------------------ >8 ------------------------"

// namedRef returns the branch that a commit message names, or says why none
// counts. Trailers are what git takes for them (git-interpret-trailers), without
// what it puts up with: they are the last of several paragraphs, every line of
// that is one, none goes on in the next line, and refTrailer stands there once,
// spelled like this.
func namedRef(message string) (ref, why string) {
	message = strings.TrimRight(message, "\n")
	body, last := "", ""
	if i := strings.LastIndex(message, "\n\n"); i >= 0 {
		body, last = message[:i], message[i+2:]
	}
	if strings.TrimSpace(body) == "" {
		body, last = message, "" // the subject is no trailer
	}
	var found, strays []string
	for line := range strings.SplitSeq(last, "\n") {
		switch m := trailerLine.FindStringSubmatch(line); {
		case m != nil && strings.EqualFold(m[1], refTrailer):
			found = append(found, line)
		case m == nil && !pickedLine.MatchString(line), strings.ContainsFunc(line, unicode.IsControl):
			strays = append(strays, line)
		}
	}
	switch {
	case len(found) == 0 && strings.Contains(strings.ToLower(body), strings.ToLower(refTrailer)+":"):
		return "", "its message names a branch, but not in a last paragraph of its own, where git has trailers"
	case len(found) == 0:
		return "", "its message names no branch"
	case len(found) > 1:
		return "", fmt.Sprintf("its message names a branch %d times", len(found))
	case len(strays) > 0:
		return "", fmt.Sprintf("the paragraph of its message that names a branch holds %s, which is no trailer", quote(strays[0]))
	case strings.Contains(message, scissors):
		return "", "its message has a scissors line, below which git reads nothing"
	}
	ref, ok := strings.CutPrefix(found[0], refTrailer+": ")
	if !ok || !branchName.MatchString(ref) {
		return "", fmt.Sprintf("its message says %s, which names no branch", quote(found[0]))
	}
	return ref, ""
}
