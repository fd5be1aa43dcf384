package render

import (
	"os"
	"testing"
)

// The example repo, which people copy, has no problems.
func TestExampleRepo(t *testing.T) {
	out := render(t, newRenderer(t), os.DirFS("../../examples/infra-repo"))
	for _, p := range out.Problems {
		t.Errorf("problem: %s", p)
	}
	if len(out.Specs) == 0 || len(out.Objects) < len(out.Specs) {
		t.Errorf("%d specs, %d objects", len(out.Specs), len(out.Objects))
	}
	for _, s := range out.Specs {
		if s.Pos.Line == 0 || s.Pos.Col == 0 {
			t.Errorf("%s: no position: %s", s.ID, s.Pos)
		}
	}
}
