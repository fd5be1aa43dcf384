package forge

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// publicURL is the address by which a Gitea behind a proxy names itself: not the
// one that the test talks to.
const publicURL = "https://git.example"

func (s *Server) listPulls(w http.ResponseWriter, r *http.Request, _ grant) answer {
	state := orElse(r.URL.Query().Get("state"), "open")
	var pulls []Pull
	for _, p := range slices.Backward(s.pulls) { // newest first
		if state == "all" || p.Closed == (state == "closed") {
			pulls = append(pulls, p)
		}
	}
	out := []any{}
	for _, p := range page(s, w, r, pulls) {
		out = append(out, s.pullJSON(p))
	}
	return answer{http.StatusOK, out}
}

func (s *Server) getPull(_ http.ResponseWriter, r *http.Request, _ grant) answer {
	p, ok := s.pullOf(r)
	if !ok {
		return notFound
	}
	return answer{http.StatusOK, s.pullJSON(p)}
}

func (s *Server) pullOf(r *http.Request) (Pull, bool) {
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || n < 1 || n > len(s.pulls) {
		return Pull{}, false
	}
	return s.pulls[n-1], true
}

// page cuts a list to the page that is asked for and links the next one.
func page[T any](s *Server, w http.ResponseWriter, r *http.Request, list []T) []T {
	q := r.URL.Query()
	param, most, host := "per_page", 100, "http://"+r.Host
	if s.flavour == Gitea {
		param, most, host = "limit", 50, publicURL
		w.Header().Set("X-Total-Count", strconv.Itoa(len(list)))
	}
	size, err := strconv.Atoi(q.Get(param))
	if err != nil || size < 1 {
		size = 30
	}
	size = min(size, most)
	number, err := strconv.Atoi(q.Get("page"))
	if err != nil || number < 1 {
		number = 1
	}
	first, last := min((number-1)*size, len(list)), min(number*size, len(list))
	if last < len(list) {
		to := func(n int, rel string) string {
			q.Set("page", strconv.Itoa(n))
			return fmt.Sprintf(`<%s%s?%s>; rel="%s"`, host, r.URL.Path, q.Encode(), rel)
		}
		w.Header().Set("Link", to(number+1, "next")+", "+to((len(list)+size-1)/size, "last"))
	}
	return list[first:last]
}

func userJSON(a account) any {
	return map[string]any{"id": a.id, "login": a.login}
}

func (s *Server) commentJSON(c Comment) any {
	return map[string]any{"id": c.ID, "body": c.Body, "user": userJSON(s.account(c.Author))}
}

func (s *Server) pullJSON(p Pull) any {
	state := "open"
	if p.Closed {
		state = "closed"
	}
	head := map[string]any{"ref": p.HeadRef, "sha": p.HeadSHA, "repo": map[string]any{"full_name": p.HeadRepo}}
	if p.Orphan {
		head["repo"] = nil
	}
	return map[string]any{
		"number": p.Number, "title": p.Title, "state": state, "draft": p.Draft,
		"html_url": fmt.Sprintf("%s/%s/pulls/%d", publicURL, Repo, p.Number),
		"user":     userJSON(s.account(p.Author)),
		"head":     head,
		"base":     map[string]any{"ref": p.BaseRef, "sha": p.BaseSHA, "repo": map[string]any{"full_name": Repo}},
	}
}

// combinedStatus returns the newest status of each context. Gitea calls its state
// "status".
func (s *Server) combinedStatus(_ http.ResponseWriter, r *http.Request, _ grant) answer {
	field := "state"
	if s.flavour == Gitea {
		field = "status"
	}
	out, seen := []any{}, map[string]bool{}
	for _, st := range slices.Backward(s.statuses[r.PathValue("sha")]) {
		if !seen[st.Context] {
			seen[st.Context] = true
			out = append(out, map[string]any{"context": st.Context, field: st.State, "description": st.Description, "target_url": st.TargetURL})
		}
	}
	return answer{http.StatusOK, map[string]any{"statuses": out}}
}
