package forge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

const (
	rightSelf    = `the right to read its own account (Gitea and Forgejo: scope read:user; GitHub: the token of a user, not of an app's installation)`
	rightComment = `the right to comment (GitHub: "Pull requests: write"; Gitea and Forgejo: scope write:issue)`
)

// A User is an account of the forge. The id stays when the login changes.
type User struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
}

// Self returns the account that the token belongs to. It asks once.
func (g *GitHub) Self(ctx context.Context) (User, error) {
	g.mu.Lock()
	self := g.self
	g.mu.Unlock()
	if self.ID != 0 {
		return self, nil
	}
	r := request{what: "see whose the token is", right: rightSelf, method: http.MethodGet, path: "/user", out: &self}
	if _, err := g.do(ctx, r); err != nil {
		return User{}, err
	}
	if self.ID <= 0 {
		return User{}, g.fail(r, errors.New("the answer names no account: is the URL that of the API?"))
	}
	g.mu.Lock()
	g.self = self
	g.mu.Unlock()
	return self, nil
}

type comment struct {
	ID   int64  `json:"id"`
	Body string `json:"body"`
	User User   `json:"user"`
}

// PutComment keeps one comment of ours on a pull request and reports whether it
// had to be written. It is found by its marker with the key and by its author,
// edited in place, left alone when it says the same already, and written anew
// when it was deleted. Of several of ours the newest is kept and the others
// deleted. Comments of others are never touched, also those that carry our
// marker.
//
// The marker is the first line of body, such as
//
//	<!-- prumo:plan key=lab head=4f2a… -->
//
// It is added if body has none. Its attribute "at" does not count as a
// difference.
func (g *GitHub) PutComment(ctx context.Context, number int, key, body string) (changed bool, err error) {
	body, err = withMarker(key, body)
	if err != nil {
		return false, fmt.Errorf("comment on pull request %d of %s: %w", number, g.repo, err)
	}
	// Two that both see no comment would both write one.
	select {
	case g.writing <- struct{}{}:
		defer func() { <-g.writing }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	own, err := g.ownComments(ctx, number, key)
	if err != nil {
		return false, err
	}
	if len(own) == 0 {
		return true, g.createComment(ctx, number, body)
	}
	newest := own[len(own)-1]
	if !sameComment(newest.Body, body) {
		changed = true
		err = g.editComment(ctx, newest.ID, body)
		if errors.Is(err, errNotFound) { // deleted since it was listed
			err = g.createComment(ctx, number, body)
		}
		if err != nil {
			return false, err
		}
	}
	for _, extra := range own[:len(own)-1] {
		if err := g.deleteComment(ctx, extra.ID); err != nil && !errors.Is(err, errNotFound) {
			return changed, err
		}
	}
	return changed, nil
}

// ownComments returns the comments with our marker that we wrote, oldest first.
func (g *GitHub) ownComments(ctx context.Context, number int, key string) ([]comment, error) {
	self, err := g.Self(ctx)
	if err != nil {
		return nil, err
	}
	var own []comment
	err = g.pages(ctx, request{
		what:  fmt.Sprintf("list the comments of pull request %d of %s", number, g.repo),
		right: rightComment,
		path:  fmt.Sprintf("/repos/%s/issues/%d/comments", g.repo, number),
	}, func(page json.RawMessage) error {
		var comments []comment
		if err := json.Unmarshal(page, &comments); err != nil {
			return err
		}
		for _, c := range comments {
			if c.User.ID != self.ID {
				continue
			}
			if m, _ := splitMarker(c.Body); m["key"] == key {
				own = append(own, c)
			}
		}
		return nil
	})
	slices.SortStableFunc(own, func(a, b comment) int { return int(a.ID - b.ID) })
	return slices.CompactFunc(own, func(a, b comment) bool { return a.ID == b.ID }), err
}

func (g *GitHub) createComment(ctx context.Context, number int, body string) error {
	_, err := g.do(ctx, request{
		what:   fmt.Sprintf("comment on pull request %d of %s", number, g.repo),
		right:  rightComment,
		method: http.MethodPost,
		path:   fmt.Sprintf("/repos/%s/issues/%d/comments", g.repo, number),
		in:     map[string]string{"body": body},
	})
	return err
}

func (g *GitHub) editComment(ctx context.Context, id int64, body string) error {
	_, err := g.do(ctx, request{
		what:   fmt.Sprintf("edit comment %d of %s", id, g.repo),
		right:  rightComment,
		method: http.MethodPatch,
		path:   fmt.Sprintf("/repos/%s/issues/comments/%d", g.repo, id),
		in:     map[string]string{"body": body},
	})
	return err
}

func (g *GitHub) deleteComment(ctx context.Context, id int64) error {
	_, err := g.do(ctx, request{
		what:   fmt.Sprintf("delete comment %d of %s", id, g.repo),
		right:  rightComment,
		method: http.MethodDelete,
		path:   fmt.Sprintf("/repos/%s/issues/comments/%d", g.repo, id),
	})
	return err
}
