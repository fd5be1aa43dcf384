package forge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxComment is GitHub's limit in characters; Gitea has none.
const maxComment = 65536

// answer is what a handler returns: a status and JSON.
type answer struct {
	code int
	body any
}

func refuse(code int, format string, args ...any) answer {
	return answer{code, map[string]any{"message": fmt.Sprintf(format, args...)}}
}

var notFound = refuse(http.StatusNotFound, "Not Found")

// ServeHTTP serves the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	delay := s.delay
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+strings.TrimPrefix(r.URL.RequestURI(), s.prefix()))
	if s.refuseLimited(w) {
		return
	}
	s.mux.ServeHTTP(w, r)
}

// refuseLimited answers as GitHub does when the hour's requests are used up, and
// as a proxy in front of Gitea does.
func (s *Server) refuseLimited(w http.ResponseWriter) bool {
	left := time.Until(s.limited)
	if left <= 0 {
		return false
	}
	a := refuse(http.StatusTooManyRequests, "Too Many Requests")
	if s.flavour == GitHub {
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(s.limited.Unix(), 10))
		a = refuse(http.StatusForbidden, "API rate limit exceeded for user.")
	} else {
		w.Header().Set("Retry-After", strconv.Itoa(int(left/time.Second)+1))
	}
	a.write(w)
	return true
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.code)
	if a.code != http.StatusNoContent {
		json.NewEncoder(w).Encode(a.body)
	}
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, need Right, serve func(http.ResponseWriter, *http.Request, grant) answer) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" "+s.prefix()+path, func(w http.ResponseWriter, r *http.Request) {
			who, no := s.authorize(r, need)
			if no != nil {
				no.write(w)
				return
			}
			serve(w, r, who).write(w)
		})
	}
	const repo = "/repos/{owner}/{name}"
	handle("GET /user", RightUser, s.getUser)
	handle("GET "+repo+"/pulls", RightPulls, s.listPulls)
	handle("GET "+repo+"/pulls/{number}", RightPulls, s.getPull)
	handle("GET "+repo+"/issues/{number}/comments", RightPulls, s.listComments)
	handle("POST "+repo+"/issues/{number}/comments", RightComment, s.createComment)
	handle("PATCH "+repo+"/issues/comments/{id}", RightComment, s.editComment)
	handle("DELETE "+repo+"/issues/comments/{id}", RightComment, s.removeComment)
	handle("POST "+repo+"/statuses/{sha}", RightStatus, s.createStatus)
	handle("GET "+repo+"/commits/{sha}/status", RightPulls, s.combinedStatus)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { notFound.write(w) })
	return mux
}

// authorize returns who asks, or the answer for who may not.
func (s *Server) authorize(r *http.Request, need Right) (grant, *answer) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	who, ok := s.grants[token]
	if !ok || (scheme != "Bearer" && scheme != "token") {
		no := refuse(http.StatusUnauthorized, "Bad credentials")
		return grant{}, &no
	}
	if owner := r.PathValue("owner"); owner != "" &&
		(owner+"/"+r.PathValue("name") != Repo || slices.Contains(who.denied, RightRepo)) {
		return grant{}, &notFound
	}
	if !slices.Contains(who.denied, need) {
		return who, nil
	}
	no := refuse(http.StatusForbidden, "Resource not accessible by personal access token")
	if s.flavour == Gitea {
		scope := map[Right]string{RightUser: "read:user", RightPulls: "read:repository", RightComment: "write:issue", RightStatus: "write:repository"}
		no = refuse(http.StatusForbidden, "token does not have at least one of required scope(s), required=[%s], token scope=", scope[need])
	}
	return grant{}, &no
}

func (s *Server) getUser(_ http.ResponseWriter, _ *http.Request, who grant) answer {
	return answer{http.StatusOK, userJSON(who.account)}
}

func (s *Server) listComments(w http.ResponseWriter, r *http.Request, _ grant) answer {
	p, ok := s.pullOf(r)
	if !ok {
		return notFound
	}
	comments := s.commentsOf(p.Number)
	if s.flavour == GitHub { // Gitea sends all of them
		comments = page(s, w, r, comments)
	}
	out := []any{}
	for _, c := range comments {
		out = append(out, s.commentJSON(c))
	}
	return answer{http.StatusOK, out}
}

func (s *Server) createComment(_ http.ResponseWriter, r *http.Request, who grant) answer {
	p, ok := s.pullOf(r)
	if !ok {
		return notFound
	}
	body, no := s.commentBody(r)
	if no != nil {
		return *no
	}
	return answer{http.StatusCreated, s.commentJSON(s.addComment(p.Number, who.account, body))}
}

func (s *Server) editComment(_ http.ResponseWriter, r *http.Request, _ grant) answer {
	i := s.commentIndex(r)
	if i < 0 {
		return notFound
	}
	body, no := s.commentBody(r)
	if no != nil {
		return *no
	}
	s.comments[i].Body = body
	return answer{http.StatusOK, s.commentJSON(s.comments[i])}
}

func (s *Server) removeComment(_ http.ResponseWriter, r *http.Request, _ grant) answer {
	i := s.commentIndex(r)
	if i < 0 {
		return notFound
	}
	s.comments = slices.Delete(s.comments, i, i+1)
	return answer{http.StatusNoContent, nil}
}

func (s *Server) commentIndex(r *http.Request) int {
	return slices.IndexFunc(s.comments, func(c Comment) bool { return strconv.FormatInt(c.ID, 10) == r.PathValue("id") })
}

func (s *Server) commentBody(r *http.Request) (string, *answer) {
	var in struct{ Body string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		no := refuse(http.StatusBadRequest, "Problems parsing JSON")
		return "", &no
	}
	problem := ""
	switch {
	case in.Body == "":
		problem = "Body cannot be blank"
	case s.flavour == GitHub && utf8.RuneCountInString(in.Body) > maxComment:
		problem = fmt.Sprintf("Body is too long (maximum is %d characters)", maxComment)
	}
	if problem != "" {
		return "", &answer{http.StatusUnprocessableEntity, map[string]any{
			"message": "Validation Failed",
			"errors":  []any{map[string]any{"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": problem}},
		}}
	}
	return in.Body, nil
}

func (s *Server) createStatus(_ http.ResponseWriter, r *http.Request, _ grant) answer {
	var in Status
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return refuse(http.StatusBadRequest, "Problems parsing JSON")
	}
	if s.flavour == GitHub && utf8.RuneCountInString(in.Description) > 140 {
		return refuse(http.StatusUnprocessableEntity, "Validation Failed")
	}
	sha := r.PathValue("sha")
	s.statuses[sha] = append(s.statuses[sha], in)
	return answer{http.StatusCreated, in}
}
