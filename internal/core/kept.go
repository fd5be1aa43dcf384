package core

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Kept says of specs, by SpecID.String(), which commit was the last, in full, that
// had something good to say of them. It is written by commit: thousands of specs
// break at once, with a kind or with site.cue, and were last good at few commits.
type Kept map[string]string

// MarshalJSON implements json.Marshaler.
func (k Kept) MarshalJSON() ([]byte, error) {
	at := map[string][]string{}
	for _, spec := range slices.Sorted(maps.Keys(k)) {
		at[k[spec]] = append(at[k[spec]], spec)
	}
	return json.Marshal(at)
}

// UnmarshalJSON implements json.Unmarshaler.
func (k *Kept) UnmarshalJSON(data []byte) error {
	var at map[string][]string
	if err := json.Unmarshal(data, &at); err != nil {
		return err
	}
	*k = make(Kept)
	for commit, specs := range at {
		for _, spec := range specs {
			if other, twice := (*k)[spec]; twice {
				return fmt.Errorf("%s is kept at %s and at %s", spec, other, commit)
			}
			(*k)[spec] = commit
		}
	}
	return nil
}
