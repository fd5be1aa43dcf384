package diff

import (
	"regexp"
	"strings"
	"sync"
)

// patternSign begins an expected text that is a regular expression (RE2): what is
// live must match it. What is absent is matched as the empty text, so that
// =~^(8|)$ says: 8, if it is there. No label or annotation of Kubernetes' own begins
// so.
const patternSign = "=~"

func isPattern(want any) bool {
	s, ok := want.(string)
	return ok && strings.HasPrefix(s, patternSign)
}

// patterns are compiled once: a fleet has few, and each machine asks at each pass.
var patterns sync.Map // of string to *regexp.Regexp; nil if it is none

// fits reports whether a live value is as a pattern wants it. Nothing fits what is
// no regular expression.
func fits(live any, want string) bool {
	text, ok := live.(string)
	if !ok && live != nil {
		return false
	}
	compiled, ok := patterns.Load(want)
	if !ok {
		re, err := regexp.Compile(strings.TrimPrefix(want, patternSign))
		if err != nil {
			re = nil
		}
		compiled, _ = patterns.LoadOrStore(want, re)
	}
	re := compiled.(*regexp.Regexp)
	return re != nil && re.MatchString(text)
}
