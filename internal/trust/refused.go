package trust

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"prumo.dev/prumo/internal/core"
)

// maxRefused bounds how many refusals are remembered. At the bound the oldest is
// forgotten: what it was about is judged by the policy again, as it was the first
// time. To refuse all else instead would let one person stop everybody.
const maxRefused = 500

// lasting are the refusals by policy of something that was well signed. The
// others pass, or come again by themselves: a missing approval, a date, a limit,
// a policy that only a newer program can read.
var lasting = []string{
	CodePath, CodeMerge, CodePolicyRoot, CodePolicyVersion,
	CodeKeyUnknown, CodeKeyExpired, CodeKeyRevoked, CodeNamespace,
}

// A Refused is a commit, or a tag, that the followed branch asked to obey, whose
// signature was good, and which the policy refused. What is signed can be
// offered again, by anyone, under another id, when the policy is another one.
type Refused struct {
	SHA256 string    `json:"sha256"` // of what it says and of the key that signed that
	Object string    `json:"object"` // id under which it was refused
	Code   string    `json:"code"`
	Time   time.Time `json:"time"`
}

// refusedSum names what was signed, and by whom: nobody can have refused what
// another signs by signing it first.
func refusedSum(payload []byte, pr proof) string {
	digest := sum(payload)
	return fmt.Sprintf("%x", sha256.Sum256(append(digest[:], pr.name()...)))
}

// abide returns why something signed does not count, with what is remembered: it
// stays refused although the policy has nothing against it, or nothing but that
// approvals are missing. A refusal that is to last is noted, if a key that one of
// the rings knows made the signature: nobody else can fill the memory, nor put
// into it what others have not signed.
func (w *walk) abide(object string, payload []byte, pr proof, rings []keyring, refusal *core.Refusal) *core.Refusal {
	id := refusedSum(payload, pr)
	if refusal == nil || refusal.Code == CodeThreshold {
		if i := slices.IndexFunc(w.memory, func(r Refused) bool { return r.SHA256 == id }); i >= 0 {
			return refusedBefore(w.memory[i])
		}
		return refusal
	}
	made := func(ring keyring) bool {
		k, _ := pr.find(ring)
		return k != nil && pr.made(w.anchor, k, payload, w.now)
	}
	if len(w.refused) < maxRefused && slices.Contains(lasting, refusal.Code) && slices.ContainsFunc(rings, made) {
		w.refused = append(w.refused, Refused{SHA256: id, Object: object, Code: refusal.Code, Time: w.now.UTC().Truncate(time.Second)})
	}
	return refusal
}

// Remember returns the State with what a step was refused for, if that is to
// last.
func (s Step) Remember(st State) State {
	all := slices.Clone(st.Refused)
	for _, r := range s.refused {
		if !slices.ContainsFunc(all, func(o Refused) bool { return o.SHA256 == r.SHA256 }) {
			all = append(all, r)
		}
	}
	st.Refused = all[max(0, len(all)-maxRefused):]
	return st
}

// remembers reports whether a later memory has all of an earlier one, but for the
// oldest that had to make room.
func remembers(later, earlier []Refused) bool {
	for gone := range earlier {
		kept := earlier[gone:]
		if len(later) >= len(kept) && slices.Equal(later[:len(kept)], kept) {
			return gone == 0 || len(later) == maxRefused
		}
	}
	return len(earlier) == 0 || len(later) == maxRefused
}

// Forgets warns that no more refusals can be remembered than there are.
func (s State) Forgets() *core.Warning {
	if len(s.Refused) < maxRefused {
		return nil
	}
	return &core.Warning{
		Code:   CodeRefused,
		Commit: s.Refused[len(s.Refused)-1].Object,
		Found:  fmt.Sprintf("%d commits were refused that people of the policy had signed; each further one makes the oldest forgotten, which the policy alone refuses then", maxRefused),
		Remedy: "look at who signs them; what must stay out for good belongs under revoked.payloads in the trust file",
	}
}

func refusedBefore(r Refused) *core.Refusal {
	return &core.Refusal{
		Code:   CodeRefused,
		Found:  fmt.Sprintf("what is signed here was refused at %s, as %.10s, with %s; what was refused stays refused", r.Time.Format(time.RFC3339), r.Object, r.Code),
		Needed: "a commit that was not refused before",
		Remedy: "make it again, so that it says what it is now (git commit --amend --no-edit --reset-author -S), and push that in its place",
	}
}
