package forge_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/forge"
	"prumo.dev/prumo/internal/report"
	testforge "prumo.dev/prumo/test/forge"
)

// secret is the token of tests that look for it where it must not be.
const secret = "s3cr3t-t0ken"

func newServer(t *testing.T, flavour testforge.Flavour) *testforge.Server {
	t.Helper()
	s := testforge.NewServer(flavour)
	t.Cleanup(s.Close)
	return s
}

func newClient(t *testing.T, url, token string) *forge.GitHub {
	t.Helper()
	g, err := forge.NewGitHub(forge.Options{URL: url, Repo: testforge.Repo, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// serve answers all requests with a handler and returns a client of it.
func serve(t *testing.T, h http.HandlerFunc) *forge.GitHub {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return newClient(t, s.URL, secret)
}

// wantError checks that an error has all the texts and not the token.
func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q, want it to hold %q", err, text)
		}
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("error %q holds the token", err)
	}
}

func TestNewGitHub(t *testing.T) {
	good := forge.Options{URL: "https://git.example/api/v1/", Repo: "lab/infra", Token: secret + "\n"}
	tests := map[string]struct {
		edit func(*forge.Options)
		want string // empty: no error
	}{
		"good":               {func(*forge.Options) {}, ""},
		"http loopback":      {func(o *forge.Options) { o.URL = "http://127.0.0.1:3000/api/v1" }, ""},
		"http loopback IPv6": {func(o *forge.Options) { o.URL = "http://[::1]:3000/api/v1" }, ""},
		"http localhost":     {func(o *forge.Options) { o.URL = "http://localhost:3000/api/v1" }, ""},
		"http":               {func(o *forge.Options) { o.URL = "http://git.example/api/v1" }, "want https"},
		"http like loopback": {func(o *forge.Options) { o.URL = "http://localhost.git.example" }, "want https"},
		"other scheme":       {func(o *forge.Options) { o.URL = "ftp://git.example" }, "want https"},
		"no URL":             {func(o *forge.Options) { o.URL = "" }, "want the API's base URL"},
		"no host":            {func(o *forge.Options) { o.URL = "git.example/api/v1" }, "want the API's base URL"},
		"password in URL":    {func(o *forge.Options) { o.URL = "https://bot:" + secret + "@git.example" }, "want the API's base URL"},
		"query in URL":       {func(o *forge.Options) { o.URL = "https://git.example/?token=" + secret }, "want the API's base URL"},
		"repo without owner": {func(o *forge.Options) { o.Repo = "infra" }, "want owner/name"},
		"repo deeper":        {func(o *forge.Options) { o.Repo = "a/b/c" }, "want owner/name"},
		"repo climbs":        {func(o *forge.Options) { o.Repo = "../user" }, "want owner/name"},
		"repo with query":    {func(o *forge.Options) { o.Repo = "a/b?c" }, "want owner/name"},
		"no token":           {func(o *forge.Options) { o.Token = "\n" }, "forge token"},
		"two tokens":         {func(o *forge.Options) { o.Token = secret + "\n" + secret }, "forge token"},
		"bad CA":             {func(o *forge.Options) { o.CA = []byte("text") }, "no PEM certificate"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			opts := good
			tt.edit(&opts)
			_, err := forge.NewGitHub(opts)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, tt.want)
		})
	}
}

func TestPullsOfForksAndDrafts(t *testing.T) {
	s := newServer(t, testforge.Gitea)
	s.AddPull(testforge.Pull{Title: "ours", HeadRef: "ours"})
	s.AddPull(testforge.Pull{Title: "fork", HeadRef: "ours", HeadRepo: "mallory/infra"})
	s.AddPull(testforge.Pull{Title: "gone", HeadRef: "ours", Orphan: true})
	s.AddPull(testforge.Pull{Title: "done", HeadRef: "ours", Closed: true})
	s.AddPull(testforge.Pull{Title: "case", HeadRef: "ours", HeadRepo: "Lab/Infra", Draft: true})
	s.AddPull(testforge.Pull{Title: "no commit", HeadRef: "ours", HeadSHA: "--upload-pack=x"})
	pulls, err := newClient(t, s.URL(), s.Token("prumo")).OpenPulls(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	type brief struct {
		Title, HeadRepo string
		Fork, Draft     bool
		Commit          bool
	}
	var got []brief
	for _, p := range pulls {
		got = append(got, brief{p.Title, p.HeadRepo, p.Fork, p.Draft, p.HeadSHA != ""})
	}
	want := []brief{
		{"ours", "lab/infra", false, false, true},
		{"fork", "mallory/infra", true, false, true},
		{"gone", "", true, false, true},
		{"case", "Lab/Infra", false, true, true},
		{"no commit", "lab/infra", false, false, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pull requests (-want +got):\n%s", diff)
	}
}

// What nobody can say to be of the same repository is a fork.
func TestPullWithoutRepositories(t *testing.T) {
	g := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"number": 1, "head": {"ref": "x", "repo": null}, "base": {"ref": "main"}}`))
	})
	if p, err := g.Pull(t.Context(), 1); err != nil || !p.Fork || p.Open {
		t.Errorf("pull request %+v, %v, want a fork that is not open", p, err)
	}
}

func TestPutCommentAtOnce(t *testing.T) {
	s := newServer(t, testforge.GitHub)
	n := s.AddPull(testforge.Pull{HeadRef: "x"})
	g := newClient(t, s.URL(), s.Token("prumo"))
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := g.PutComment(t.Context(), n, "lab", "text"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var writes []string
	for _, r := range s.Requests() {
		if !strings.HasPrefix(r, http.MethodGet) {
			writes = append(writes, r)
		}
	}
	if diff := cmp.Diff([]string{fmt.Sprintf("POST /repos/lab/infra/issues/%d/comments", n)}, writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

// The comment is deleted after it was listed and before it is edited.
func TestPutCommentDeletedMeanwhile(t *testing.T) {
	s := newServer(t, testforge.GitHub)
	n := s.AddPull(testforge.Pull{HeadRef: "x"})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			s.DeleteComment(s.Comments(n)[0].ID)
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	g := newClient(t, front.URL+"/api/v3", s.Token("prumo"))
	for _, body := range []string{"first", "second"} {
		if changed, err := g.PutComment(t.Context(), n, "lab", body); err != nil || !changed {
			t.Fatalf("PutComment(%q) = %t, %v", body, changed, err)
		}
	}
	got := s.Comments(n)
	if len(got) != 1 || !strings.HasSuffix(got[0].Body, "second") {
		t.Errorf("comments %+v, want the second alone", got)
	}
}

// The one comment of ours may be on any page.
func TestPutCommentAfterManyOthers(t *testing.T) {
	for _, flavour := range []testforge.Flavour{testforge.GitHub, testforge.Gitea} {
		s := newServer(t, flavour)
		n := s.AddPull(testforge.Pull{HeadRef: "x"})
		for range 250 {
			s.AddComment(n, "talker", "a word")
		}
		s.AddComment(n, "prumo", "<!-- prumo:plan key=lab -->\ntext\n")
		changed, err := newClient(t, s.URL(), s.Token("prumo")).PutComment(t.Context(), n, "lab", "text")
		if err != nil || changed {
			t.Errorf("%s: PutComment = %t, %v, want the comment found", flavour, changed, err)
		}
	}
}

// What package report writes is found again, also under a key that it escapes.
func TestPutCommentOfReport(t *testing.T) {
	s := newServer(t, testforge.Gitea)
	n := s.AddPull(testforge.Pull{HeadRef: "x"})
	g := newClient(t, s.URL(), s.Token("prumo"))
	for _, key := range []string{"lab", "my--lab", "a.b/c:d"} {
		for i, head := range []string{"aa", "aa", "bb"} {
			body := report.Comment(report.CommentInput{Key: key, Head: head, At: time.Unix(int64(i), 0)})
			changed, err := g.PutComment(t.Context(), n, key, body)
			if err != nil || changed != (i != 1) {
				t.Errorf("%s, round %d: PutComment = %t, %v", key, i, changed, err)
			}
		}
		if _, err := g.PutComment(t.Context(), n, key, "bare"); err != nil {
			t.Error(err)
		}
	}
	if got := s.Comments(n); len(got) != 3 {
		t.Errorf("%d comments, want one per key: %+v", len(got), got)
	}
}

func TestPutCommentRefusesForeignMarker(t *testing.T) {
	s := newServer(t, testforge.GitHub)
	n := s.AddPull(testforge.Pull{HeadRef: "x"})
	g := newClient(t, s.URL(), s.Token("prumo"))
	for key, body := range map[string]string{
		"lab":            "<!-- prumo:plan key=other -->\ntext",
		"lab -->":        "text",
		"":               "text",
		"lab\nkey=other": "text",
	} {
		_, err := g.PutComment(t.Context(), n, key, body)
		wantError(t, err, "marker")
	}
	if got := s.Requests(); len(got) != 0 {
		t.Errorf("requests %q, want none", got)
	}
}

func TestSetStatusRefuses(t *testing.T) {
	g := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	sha := strings.Repeat("a", 40)
	wantError(t, g.SetStatus(t.Context(), "../../../user", forge.Status{State: forge.StateSuccess}), "not a commit id")
	wantError(t, g.SetStatus(t.Context(), sha, forge.Status{State: "done"}), "unknown state")
}
