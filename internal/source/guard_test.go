package source_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/internal/source"
	"prumo.dev/prumo/internal/trust"
	"prumo.dev/prumo/test/gitrepo"
	"prumo.dev/prumo/test/lab"
)

// A bot renews the heartbeat of a lab with the installed git.
type bot struct {
	*testing.T
	dir string // its clone
}

func newBot(t *testing.T, l *lab.Lab, key *gitrepo.Key) *bot {
	t.Helper()
	b := &bot{t, filepath.Join(t.TempDir(), "clone")}
	private, err := key.PrivatePEM()
	if err == nil {
		err = os.WriteFile(b.dir+".key", private, 0o600)
	}
	if err == nil {
		err = os.WriteFile(b.dir+".key.pub", []byte(key.Public()+"\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.run(time.Now(), ".", fmt.Sprintf("git clone -q '%s' '%s'", l.Origin, b.dir))
	return b
}

// run types a command, such as one that a refusal prints.
func (b *bot) run(when time.Time, dir, command string) {
	b.Helper()
	cmd := exec.Command("sh", "-ec", strings.ReplaceAll(command, "ORIGIN", "origin"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_CONFIG_COUNT=2",
		"GIT_CONFIG_KEY_0=gpg.format", "GIT_CONFIG_VALUE_0=ssh", "GIT_CONFIG_KEY_1=user.signingkey", "GIT_CONFIG_VALUE_1="+b.dir+".key.pub",
		"GIT_COMMITTER_NAME=heart", "GIT_COMMITTER_EMAIL=heart@lab.example", fmt.Sprintf("GIT_COMMITTER_DATE=@%d +0000", when.Unix()))
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// heartbeats is a lab, the key of a bot, and what has the trust file ask for
// heartbeats by that key.
func heartbeats(t *testing.T) (l *lab.Lab, key *gitrepo.Key, ask func(onStale string)) {
	t.Helper()
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if key, err = gitrepo.NewKey("heart@lab.example"); err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile(l.Trust)
	if err != nil {
		t.Fatal(err)
	}
	return l, key, func(onStale string) {
		t.Helper()
		text := fmt.Sprintf("%srepo: {id: lab, ref: refs/heads/main}\nfreshness: {heartbeatTag: refs/tags/prumo-heartbeat, maxAge: 1h, onStale: %s, signers: {heart: {keys: [{ssh: %q}]}}}\n",
			plain, onStale, key.Public())
		if err := os.WriteFile(l.Trust, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHeartbeat renews a heartbeat by the command that the refusal prints, and
// has a remote show an old one again.
func TestHeartbeat(t *testing.T) {
	l, key, freshness := heartbeats(t)
	freshness("freeze")
	s := open(t, l)
	advance := func(want, code string) string {
		t.Helper()
		rev, refused, err := s.Advance(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, remedy := "", ""
		if refused != nil {
			got, remedy = refused.Refusal.Code, refused.Refusal.Remedy
		}
		if rev.Commit != want || got != code {
			t.Fatalf("in force %q, refused %q (%+v); want %q, %q", rev.Commit, got, refused, want, code)
		}
		return remedy
	}
	remedy := advance("", trust.CodeStale)
	_, renew, _ := strings.Cut(remedy, "renews the heartbeat: ")
	head, now := l.Repo.Head(), time.Now()
	b := newBot(t, l, key)
	b.run(now.Add(-time.Minute), b.dir, renew)
	advance(head, "")
	old, err := os.ReadFile(filepath.Join(l.Origin, "refs/tags/prumo-heartbeat"))
	if err != nil {
		t.Fatal(err)
	}
	advance(head, "") // and writes the heartbeat down, now that something is accepted
	b.run(now, b.dir, renew)
	advance(head, "")

	if err := os.WriteFile(filepath.Join(l.Origin, "refs/tags/prumo-heartbeat"), old, 0o644); err != nil {
		t.Fatal(err)
	}
	newer := commit(t, l, "flo", "tools/label-studio.yaml")
	s = open(t, l)
	advance(head, trust.CodeHeartbeat)
	if _, verdict, err := s.Find(t.Context(), ""); err != nil || verdict.Refusal == nil || verdict.Refusal.Code != trust.CodeHeartbeat {
		t.Errorf("asked about the tip: %+v, %v", verdict, err)
	}

	freshness("report")
	s = open(t, l)
	advance(newer, "")
	if w := s.Warnings(); len(w) != 1 || w[0].Code != trust.CodeHeartbeat {
		t.Errorf("warnings %+v, want one with %s", w, trust.CodeHeartbeat)
	}
}

// TestTwoTips: two instances are shown two tips of the same branch, both well
// signed. The bot sees one of them, and the instance that has the other hears of it.
func TestTwoTips(t *testing.T) {
	l, key, freshness := heartbeats(t)
	freshness("freeze")
	b := newBot(t, l, key)
	beat := func(commit string, when time.Time) {
		t.Helper()
		body := (&trust.Anchor{Repo: "lab", Ref: "refs/heads/main"}).HeartbeatBody(commit)
		b.run(when, b.dir, fmt.Sprintf("git fetch -q origin && printf '%s' | git tag -s -f -F - prumo-heartbeat %s && git push -q -f origin prumo-heartbeat", body, commit))
	}
	head := l.Repo.Head()
	beat(head, time.Now().Add(-time.Minute))
	if err := l.Repo.Branch("fork"); err != nil {
		t.Fatal(err)
	}
	fork := commit(t, l, "flo", "tools/mlflow.yaml")
	other := filepath.Join(t.TempDir(), "other.git") // what the second instance is shown
	show := func(tip string) {
		t.Helper()
		for _, err := range []error{os.RemoveAll(other), os.CopyFS(other, os.DirFS(l.Origin)),
			os.WriteFile(filepath.Join(other, "refs/heads/main"), []byte(tip+"\n"), 0o644)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	show(fork)
	if err := l.Repo.Checkout("main"); err != nil {
		t.Fatal(err)
	}
	tip := commit(t, l, "flo", "tools/label-studio.yaml")

	advance := func(s *source.Source, want, code string) {
		t.Helper()
		rev, refused, err := s.Advance(t.Context())
		got := ""
		if refused != nil {
			got = refused.Refusal.Code
		}
		if err != nil || rev.Commit != want || got != code {
			t.Fatalf("in force %q, refused %q (%+v), %v; want %q, %q", rev.Commit, got, refused, err, want, code)
		}
	}
	one := open(t, l)
	two := open(t, l, func(o *source.Options) {
		o.Dir, o.Remote = filepath.Join(l.Dir, "two"), git.Remote{URL: other}
	})
	advance(one, tip, "")
	advance(two, fork, "")
	beat(tip, time.Now())
	show(fork)
	advance(one, tip, "")
	advance(two, fork, trust.CodeStale)
}

// TestTwoTipsByHand: who reaches the branch by another way than the daemon, and its
// record in the cluster too, is told that they were shown two tips.
func TestTwoTipsByHand(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	docs, good := documents(t), l.Repo.Head()
	commit(t, l, "flo", "tools/mlflow.yaml")
	s := open(t, l, func(o *source.Options) { o.Cluster = docs })
	if _, refused, err := s.Advance(t.Context()); refused != nil || err != nil {
		t.Fatalf("%+v, %v", refused, err)
	}
	if err := errors.Join(l.Repo.Reset(good), l.Repo.Remove("tools/label-studio.yaml")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Commit("flo", "another tip"); err != nil {
		t.Fatal(err)
	}
	if err := l.Repo.PushForce(l.Origin); err != nil {
		t.Fatal(err)
	}
	s = open(t, l, func(o *source.Options) { o.Dir, o.Cluster = t.TempDir(), docs })
	torn := s.Look(t.Context())
	tip, err := s.Tip(t.Context())
	if torn != nil || err != nil {
		t.Fatalf("%+v, %v", torn, err)
	}
	if v, err := s.JudgeTip(t.Context(), tip); err != nil || v.Refusal == nil || v.Refusal.Code != trust.CodeRewritten {
		t.Errorf("got %+v, %v; want %s", v.Refusal, err, trust.CodeRewritten)
	}
}

// TestClockSetBack: nothing new is obeyed by a clock that was ahead before.
func TestClockSetBack(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, l)
	rev, _, err := s.Advance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(l.Dir, "state", "accepted.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ahead := strings.Replace(string(data), `"commits":`, `"clock": "`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`", "commits":`, 1)
	if err := os.WriteFile(file, []byte(ahead), 0o600); err != nil {
		t.Fatal(err)
	}
	commit(t, l, "flo", "tools/label-studio.yaml")
	again := open(t, l)
	got, refused, err := again.Advance(t.Context())
	if err != nil || got != rev || refused == nil || refused.Refusal.Code != trust.CodeClock {
		t.Errorf("in force %+v, refused %+v, %v; want %+v, %s", got, refused, err, rev, trust.CodeClock)
	}
}

// TestRevokedSince: what was accepted under a key that is revoked later stays in
// force, and is listed; nothing new by it is obeyed.
func TestRevokedSince(t *testing.T) {
	l, err := lab.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	old := commit(t, l, "flo", "tools/label-studio.yaml")
	rev, _, err := open(t, l).Advance(t.Context())
	if err != nil || rev.Commit != old {
		t.Fatal(rev, err)
	}
	f, err := os.OpenFile(l.Trust, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintf(f, "revoked: {ssh: [%q]}\n", l.Keys["flo"].Fingerprint())
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	commit(t, l, "flo", "tools/mlflow.yaml")
	s := open(t, l)
	for range 2 {
		got, refused, err := s.Advance(t.Context())
		if err != nil || got != rev || refused == nil || refused.Refusal.Code != trust.CodeKeyRevoked {
			t.Errorf("in force %+v, refused %+v, %v; want %+v and %s", got, refused, err, rev, trust.CodeKeyRevoked)
		}
		if w := s.Warnings(); len(w) != 1 || len(w[0].Commits) == 0 || w[0].Commits[0].Commit != old || w[0].Commits[0].Signer != "flo" {
			t.Errorf("warnings %+v, want one that lists %s by flo", w, old)
		}
	}
}
