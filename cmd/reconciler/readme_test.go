package main

import (
	"os"
	"strings"
	"testing"
)

// TestReadmeNamesEveryCommand keeps the README's table whole.
func TestReadmeNamesEveryCommand(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range newRoot().Commands() {
		if !cmd.Hidden && !strings.Contains(string(readme), "| `"+cmd.Name()) {
			t.Errorf("the README's table lacks %s", cmd.Name())
		}
	}
}
