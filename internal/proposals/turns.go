package proposals

import (
	"slices"
	"time"

	"prumo.dev/prumo/internal/forge"
)

// turnsKept is how long what an author's pull requests have cost counts against them.
const turnsKept = time.Hour

// turns share out the time of the worker among the authors of pull requests: next is
// who has used the least of it lately. So nobody waits for more than one plan of each
// other author, however many pull requests somebody opens.
type turns struct {
	spent map[string]time.Duration // by author
	since time.Time
}

// next takes from pulls, which holds one at least, the one whose turn it is: of the
// author who has used the least time the newest. It returns that and the others.
func (t *turns) next(pulls []forge.Pull) (forge.Pull, []forge.Pull) {
	best := 0
	for i, p := range pulls {
		spent, least := t.spent[p.Author], t.spent[pulls[best].Author]
		if spent < least || spent == least && p.Author == pulls[best].Author && p.Number > pulls[best].Number {
			best = i
		}
	}
	return pulls[best], slices.Delete(slices.Clone(pulls), best, best+1)
}

// took notes how long a plan of an author took.
func (t *turns) took(author string, d time.Duration, now time.Time) {
	if t.spent == nil || now.Sub(t.since) > turnsKept {
		t.spent, t.since = make(map[string]time.Duration), now
	}
	t.spent[author] += d
}
