package forge

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Flavour is the forge that a Server behaves as.
type Flavour string

// The flavours.
const (
	GitHub Flavour = "github"
	Gitea  Flavour = "gitea"
)

// Repo is the repository that a Server holds.
const Repo = "lab/infra"

// A Right is something that a token may be denied.
type Right string

// The rights. In brackets the scope by which Gitea grants them.
const (
	RightUser    Right = "user"     // read:user
	RightPulls   Right = "pulls"    // read:repository
	RightComment Right = "comments" // write:issue
	RightStatus  Right = "statuses" // write:repository
	RightRepo    Right = "repo"     // see the repository at all
)

// A Pull is a pull request on Repo.
type Pull struct {
	Number   int // given by AddPull
	Title    string
	Author   string // default "author"
	HeadRef  string
	HeadSHA  string
	HeadRepo string // default Repo
	BaseRef  string // default main
	BaseSHA  string
	Draft    bool
	Closed   bool
	Orphan   bool // the head's repository was deleted
}

// A Comment is a comment on a pull request.
type Comment struct {
	ID     int64
	Number int // of the pull request
	Author string
	Body   string
}

// A Status is a commit status.
type Status struct {
	Context     string `json:"context"`
	State       string `json:"state"`
	Description string `json:"description"`
	TargetURL   string `json:"target_url"`
}

type account struct {
	id    int64
	login string
}

type grant struct {
	account
	denied []Right
}

// A Server is a forge with one repository. It is safe for concurrent use.
type Server struct {
	flavour Flavour
	http    *httptest.Server
	mux     http.Handler

	mu       sync.Mutex
	accounts map[string]account
	grants   map[string]grant // by token
	pulls    []Pull           // by number, from 1
	comments []Comment        // oldest first
	statuses map[string][]Status
	limited  time.Time
	delay    time.Duration
	requests []string
	lastID   int64
}

// NewServer starts a forge on a free loopback port. Close it.
func NewServer(f Flavour) *Server {
	s := &Server{
		flavour:  f,
		accounts: map[string]account{},
		grants:   map[string]grant{},
		statuses: map[string][]Status{},
		lastID:   100,
	}
	s.mux = s.routes()
	s.http = httptest.NewServer(s)
	return s
}

// Close stops the server.
func (s *Server) Close() { s.http.Close() }

// URL returns the base of the API.
func (s *Server) URL() string { return s.http.URL + s.prefix() }

// prefix is where the flavour has its API.
func (s *Server) prefix() string {
	if s.flavour == Gitea {
		return "/api/v1"
	}
	return "/api/v3" // GitHub Enterprise Server
}

// Token returns a new token of an account, with all rights but the denied ones.
// The account is made if there is none of that login.
func (s *Server) Token(login string, denied ...Right) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := fmt.Sprintf("secret-%s-%d", login, len(s.grants)+1)
	s.grants[token] = grant{account: s.account(login), denied: denied}
	return token
}

// Revoke ends a token.
func (s *Server) Revoke(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.grants, token)
}

// AddPull opens a pull request and returns its number.
func (s *Server) AddPull(p Pull) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Number = len(s.pulls) + 1
	p.Author = orElse(p.Author, "author")
	p.HeadRepo = orElse(p.HeadRepo, Repo)
	p.BaseRef = orElse(p.BaseRef, "main")
	p.HeadSHA = orElse(p.HeadSHA, fmt.Sprintf("%040x", p.Number))
	p.BaseSHA = orElse(p.BaseSHA, strings.Repeat("b", 40))
	s.pulls = append(s.pulls, p)
	return p.Number
}

// SetPull replaces the pull request with p.Number: a push to it, its end.
func (s *Server) SetPull(p Pull) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pulls[p.Number-1] = p
}

// Pull returns a pull request.
func (s *Server) Pull(number int) Pull {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pulls[number-1]
}

// AddComment writes a comment in the name of an account.
func (s *Server) AddComment(number int, author, body string) Comment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addComment(number, s.account(author), body)
}

// Comments returns the comments on a pull request, oldest first.
func (s *Server) Comments(number int) []Comment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commentsOf(number)
}

// DeleteComment deletes a comment.
func (s *Server) DeleteComment(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.comments = slices.DeleteFunc(s.comments, func(c Comment) bool { return c.ID == id })
}

// Statuses returns the statuses set on a commit, oldest first.
func (s *Server) Statuses(sha string) []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.statuses[sha])
}

// RateLimit refuses all requests until a time. The zero time lifts it.
func (s *Server) RateLimit(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limited = until
}

// Delay has the forge answer each request only after a while.
func (s *Server) Delay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// Requests returns the requests so far as "METHOD /path?query", without the
// API's prefix.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func (s *Server) account(login string) account {
	a, ok := s.accounts[login]
	if !ok {
		a = account{id: int64(len(s.accounts) + 1), login: login}
		s.accounts[login] = a
	}
	return a
}

func (s *Server) addComment(number int, author account, body string) Comment {
	s.lastID++
	c := Comment{ID: s.lastID, Number: number, Author: author.login, Body: body}
	s.comments = append(s.comments, c)
	return c
}

func (s *Server) commentsOf(number int) []Comment {
	var of []Comment
	for _, c := range s.comments {
		if c.Number == number {
			of = append(of, c)
		}
	}
	return of
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
