package proposals

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// Documents keep one text across restarts.
type Documents interface {
	Load(ctx context.Context, name string) (data []byte, version string, err error)
	Save(ctx context.Context, name string, data []byte, version string) (newVersion string, err error)
}

const (
	// attemptsDocument is the name of the document.
	attemptsDocument = "proposals"

	// maxAttempts bounds how many commits are remembered; the oldest are forgotten.
	maxAttempts = 200
)

// Attempts remember which commits were being planned when the daemon ended. What ends
// the daemon again and again is then not tried a third time, and the daemon does not
// start, die and start for ever.
type Attempts struct {
	docs    Documents
	loaded  bool
	version string
	list    []attempt
}

// An attempt is a commit that was begun and not ended.
type attempt struct {
	Head  string `json:"head"`
	Times int    `json:"times"`
}

// NewAttempts returns attempts that are kept in documents.
func NewAttempts(docs Documents) *Attempts { return &Attempts{docs: docs} }

// Begin notes that a commit is about to be planned. It returns how often the daemon
// has ended while it was. An error means that this could not be written down, and that
// the commit must not be planned.
func (a *Attempts) Begin(ctx context.Context, head string) (deaths int, err error) {
	if err := a.load(ctx); err != nil {
		return 0, err
	}
	i := slices.IndexFunc(a.list, func(x attempt) bool { return x.Head == head })
	if i >= 0 {
		deaths = a.list[i].Times
	}
	if deaths >= maxDeaths {
		return deaths, nil
	}
	list := slices.DeleteFunc(slices.Clone(a.list), func(x attempt) bool { return x.Head == head })
	list = append(list, attempt{head, deaths + 1})
	return deaths, a.save(ctx, list[max(0, len(list)-maxAttempts):])
}

// End notes that planning a commit came to an end, whatever came of it.
func (a *Attempts) End(ctx context.Context, head string) error {
	return a.save(ctx, slices.DeleteFunc(slices.Clone(a.list), func(x attempt) bool { return x.Head == head }))
}

func (a *Attempts) load(ctx context.Context) error {
	if a.loaded {
		return nil
	}
	data, version, err := a.docs.Load(ctx, attemptsDocument)
	if err != nil {
		return fmt.Errorf("read which proposals were being planned: %w", err)
	}
	if len(data) > 0 && json.Unmarshal(data, &a.list) != nil {
		a.list = nil // a file that was cut short says nothing; it is written anew
	}
	a.loaded, a.version = true, version
	return nil
}

func (a *Attempts) save(ctx context.Context, list []attempt) error {
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	version, err := a.docs.Save(ctx, attemptsDocument, data, a.version)
	if err != nil {
		a.loaded = false // what is there is read again
		return fmt.Errorf("write down which proposal is being planned: %w", err)
	}
	a.list, a.version = list, version
	return nil
}
