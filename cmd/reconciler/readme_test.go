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
		if name := cmd.Name(); name == "help" || name == "completion" {
			continue // of every program
		}
		if !cmd.Hidden && !strings.Contains(string(readme), "| `"+cmd.Name()) {
			t.Errorf("the README's table lacks %s", cmd.Name())
		}
	}
}
