package main

import (
	"testing"
)

// TestMutationsApply keeps the list in step with the code: each row still finds
// the one line that it breaks.
func TestMutationsApply(t *testing.T) {
	t.Chdir("../..")
	rows, err := load()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range rows {
		if seen[m.Name] {
			t.Errorf("%s: two rows of one name", m.Name)
		}
		seen[m.Name] = true
		if _, err := m.overlay(t.TempDir()); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
}
