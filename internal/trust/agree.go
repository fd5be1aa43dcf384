package trust

import (
	"context"
	"fmt"
	"time"

	"prumo.dev/prumo/internal/core"
)

// Agree compares what the file and the cluster remember, once, and again after a
// write that failed. Where one of them is lost it is written from the other, and
// the warning says so; the cluster alone is believed only if check does not
// refuse it. What a crash left between two writes is finished. Any other
// difference is refused: then nothing may be obeyed, for it is not known what is
// in force.
func (s *Store) Agree(ctx context.Context, check func(context.Context, State) (*core.Refusal, error)) (*core.Warning, *core.Refusal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.agreed {
		return nil, nil, nil
	}
	unlock, err := s.lock()
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	file, err := s.read()
	if err != nil {
		return nil, nil, err
	}
	cluster, err := s.load(ctx)
	if err != nil {
		return nil, nil, err
	}
	warning, refusal, err := s.settle(ctx, file, cluster, check)
	s.agreed = refusal == nil && err == nil
	return warning, refusal, err
}

// settle makes both places hold one State, which is then s.state.
func (s *Store) settle(ctx context.Context, file record, cluster *State, check func(context.Context, State) (*core.Refusal, error)) (*core.Warning, *core.Refusal, error) {
	s.state = file.State
	switch {
	case cluster == nil && file.Commit == "":
		return nil, nil, nil // the beginning
	case cluster == nil:
		return restored(file.State, s.cluster), nil, s.save(ctx, file.State, "")
	case file.same(*cluster):
		return nil, nil, nil
	case file.goesOn(*cluster):
		return nil, nil, s.take(*cluster)
	case file.Commit != "":
		return nil, s.disagreement(file.State, *cluster), nil
	}
	refusal, err := check(ctx, *cluster)
	if refusal != nil || err != nil {
		return nil, s.unbelieved(*cluster, refusal), err
	}
	return taken(*cluster, s.path), nil, s.take(*cluster)
}

// Look has Accepted return what Agree would settle on, and writes nothing; nor can
// the Store be written after it. What only the cluster knows is taken unchecked:
// who only looks obeys nothing.
func (s *Store) Look(ctx context.Context) (*core.Refusal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.agreed {
		return nil, nil
	}
	file, err := s.read()
	if err != nil {
		return nil, err
	}
	cluster, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	switch s.state = file.State; {
	case cluster == nil || file.same(*cluster):
		return nil, nil
	case file.Commit == "" || file.goesOn(*cluster):
		s.state = *cluster
		return nil, nil
	}
	return s.disagreement(file.State, *cluster), nil
}

// goesOn reports whether the cluster has what a crash kept from the file, or what
// was noted later on the same revision.
func (r record) goesOn(cluster State) bool {
	return r.Intent != nil && r.Intent.same(cluster) || r.precedes(cluster)
}

// take makes the cluster's State that of the file.
func (s *Store) take(cluster State) error {
	s.state = cluster
	return s.writeFile(record{State: cluster})
}

// precedes reports whether next is about the same accepted revision and was
// written later: then nothing is lost with the older one.
func (s State) precedes(next State) bool { return next.Serial > s.Serial && s.grows(next) }

// grows reports whether next differs in nothing but what is noted beside an
// accepted revision, where times do not go back and refusals are not forgotten.
func (s State) grows(next State) bool {
	if s.Commit == "" || next.Clock.Before(s.Clock) || next.Heartbeat.Time.Before(s.Heartbeat.Time) || !remembers(next.Refused, s.Refused) {
		return false
	}
	next.Serial, next.Applied, next.Clock, next.Heartbeat, next.Refused = s.Serial, s.Applied, s.Clock, s.Heartbeat, s.Refused
	return s.same(next)
}

func restored(s State, cluster Documents) *core.Warning {
	return &core.Warning{
		Code:   CodeState,
		Commit: s.Commit,
		Found:  fmt.Sprintf("the cluster did not know the last accepted revision, %.10s; it was written from the state folder into the %s", s.Commit, cluster),
		Remedy: "if this is not the first start with them, find out who deleted the record",
	}
}

func taken(s State, path string) *core.Warning {
	return &core.Warning{
		Code:   CodeState,
		Commit: s.Commit,
		Found: fmt.Sprintf("the state folder was empty; the last accepted revision, %.10s, was taken from the cluster and verified again from the introduction into %s",
			s.Commit, path),
		Remedy: "if this is not a new state folder, find out what emptied it",
	}
}

func (s *Store) disagreement(file, cluster State) *core.Refusal {
	return &core.Refusal{
		Code:   CodeState,
		Commit: cluster.Commit,
		Found: fmt.Sprintf("the state folder says that %s, and the cluster that %s: somebody else has written one of them, such as a second reconciler of this instance",
			file.tell(), cluster.tell()),
		Needed: "one record of what was accepted last",
		Remedy: fmt.Sprintf("stop all but one reconciler of the instance; then, if the cluster is right, start it with an empty state folder, which is filled from there; "+
			"if %s is right, delete the document %s of the %s, which is written again from there", s.path, document, s.cluster),
	}
}

// unbelieved is the refusal of a State that only the cluster has.
func (s *Store) unbelieved(cluster State, why *core.Refusal) *core.Refusal {
	if why == nil {
		return nil
	}
	return &core.Refusal{
		Code:   CodeState,
		Commit: cluster.Commit,
		Path:   why.Path,
		Rule:   why.Rule,
		Found:  fmt.Sprintf("the state folder is empty, the cluster says that %s, and verified again from the introduction that is refused: %s: %s", cluster.tell(), why.Code, why.Found),
		Needed: "a record that the repo bears out: " + why.Needed,
		Remedy: fmt.Sprintf("restore the state folder from a backup; or look at that commit and, if it is right, name it as the introduction in the trust file "+
			"and delete the document %s of the %s", document, s.cluster),
	}
}

// tell is what a State says, for people.
func (s State) tell() string {
	return fmt.Sprintf("%.10s was accepted at %s (record %d)", s.Commit, s.Time.UTC().Format(time.RFC3339), s.Serial)
}
