package main

import (
	"os"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestMutationsApply keeps the list in step with the code: each row still finds
// the one line that it breaks.
func TestMutationsApply(t *testing.T) {
	t.Chdir("../..")
	data, err := os.ReadFile("test/mutation/mutations.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []mutation
	if err := yaml.UnmarshalStrict(data, &all); err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if _, err := m.overlay(t.TempDir()); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
}
