package forge

import (
	"context"
	"fmt"
	"net/http"
	"slices"
)

const rightStatus = `the right to set commit statuses (GitHub: "Commit statuses: write"; Gitea and Forgejo: scope write:repository, and write access of its account), or turn statuses off`

// maxDescription is the length of a description that GitHub accepts, in characters.
const maxDescription = 140

// The states of a Status.
const (
	StatePending = "pending"
	StateSuccess = "success"
	StateFailure = "failure"
	StateError   = "error"
)

// A Status is a mark on a commit. One with the same Context replaces the last.
// It is for people and for merge rules; it proves nothing, since whoever may
// push may set any.
type Status struct {
	Context     string `json:"context"`
	State       string `json:"state"`
	Description string `json:"description,omitempty"` // cut to 140 characters
	URL         string `json:"target_url,omitempty"`
}

// SetStatus sets a status of a commit, given by its full hexadecimal id.
func (g *GitHub) SetStatus(ctx context.Context, sha string, status Status) error {
	if commitID(sha) == "" {
		return fmt.Errorf("set a status: %q is not a commit id", sha)
	}
	if !slices.Contains([]string{StatePending, StateSuccess, StateFailure, StateError}, status.State) {
		return fmt.Errorf("set a status of %s: unknown state %q", sha, status.State)
	}
	if runes := []rune(status.Description); len(runes) > maxDescription {
		status.Description = string(runes[:maxDescription-1]) + "…"
	}
	_, err := g.do(ctx, request{
		what:   fmt.Sprintf("set the status of %s in %s", sha, g.repo),
		right:  rightStatus,
		method: http.MethodPost,
		path:   fmt.Sprintf("/repos/%s/statuses/%s", g.repo, sha),
		in:     status,
	})
	return err
}
