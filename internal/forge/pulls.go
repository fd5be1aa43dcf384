package forge

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

const rightPulls = `the right to read pull requests (GitHub: "Pull requests: read"; Gitea and Forgejo: scope read:repository)`

// A Pull is an open or closed pull request. Title, refs and author are what
// strangers wrote.
type Pull struct {
	Number   int
	Title    string
	Author   string // login
	HeadRef  string // branch without refs/heads/; of HeadRepo
	HeadSHA  string // hexadecimal; empty if the forge gave none
	HeadRepo string // owner/name; empty if it was deleted
	BaseRef  string // branch without refs/heads/
	BaseSHA  string // hexadecimal tip of the base branch; empty if the forge gave none
	Fork     bool   // the head is not in the repository of the base, or nobody can say
	Draft    bool
	Open     bool
	URL      string // page for people
}

// OpenPulls returns all open pull requests, sorted by number.
func (g *GitHub) OpenPulls(ctx context.Context) ([]Pull, error) {
	var pulls []Pull
	err := g.pages(ctx, request{
		what:  "list the pull requests of " + g.repo,
		right: rightPulls,
		path:  "/repos/" + g.repo + "/pulls",
		query: "state=open",
	}, func(page json.RawMessage) error {
		var wire []wirePull
		if err := json.Unmarshal(page, &wire); err != nil {
			return err
		}
		for _, w := range wire {
			pulls = append(pulls, w.pull())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// One that moved to the next page while pages were read comes twice.
	slices.SortStableFunc(pulls, func(a, b Pull) int { return cmp.Compare(a.Number, b.Number) })
	return slices.CompactFunc(pulls, func(a, b Pull) bool { return a.Number == b.Number }), nil
}

// Pull returns one pull request, open or not.
func (g *GitHub) Pull(ctx context.Context, number int) (Pull, error) {
	var wire wirePull
	_, err := g.do(ctx, request{
		what:   fmt.Sprintf("read pull request %d of %s", number, g.repo),
		right:  rightPulls,
		method: http.MethodGet,
		path:   fmt.Sprintf("/repos/%s/pulls/%d", g.repo, number),
		out:    &wire,
	})
	if err != nil {
		return Pull{}, err
	}
	return wire.pull(), nil
}

// wirePull is a pull request in the forge's JSON.
type wirePull struct {
	Number int        `json:"number"`
	Title  string     `json:"title"`
	State  string     `json:"state"`
	Draft  bool       `json:"draft"`
	URL    string     `json:"html_url"`
	User   User       `json:"user"`
	Head   wireBranch `json:"head"`
	Base   wireBranch `json:"base"`
}

type wireBranch struct {
	Ref  string `json:"ref"`
	SHA  string `json:"sha"`
	Repo *struct {
		FullName string `json:"full_name"`
	} `json:"repo"` // null if deleted
}

func (b wireBranch) repo() string {
	if b.Repo == nil {
		return ""
	}
	return b.Repo.FullName
}

func (w wirePull) pull() Pull {
	head, base := w.Head.repo(), w.Base.repo()
	return Pull{
		Number:   w.Number,
		Title:    w.Title,
		Author:   w.User.Login,
		HeadRef:  w.Head.Ref,
		HeadSHA:  commitID(w.Head.SHA),
		HeadRepo: head,
		BaseRef:  w.Base.Ref,
		BaseSHA:  commitID(w.Base.SHA),
		Fork:     head == "" || !strings.EqualFold(head, base),
		Draft:    w.Draft,
		Open:     w.State == "open",
		URL:      w.URL,
	}
}

var hexID = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// commitID returns s if it is a commit id, and nothing otherwise: what is not
// one must not reach Git or a URL.
func commitID(s string) string {
	if !hexID.MatchString(s) {
		return ""
	}
	return s
}
