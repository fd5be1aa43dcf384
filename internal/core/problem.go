package core

import (
	"cmp"
	"fmt"
)

// A Pos is a place in a file of the infra repo. Line and Col count from 1; 0
// means unknown.
type Pos struct {
	File string `json:"file,omitempty"` // slash separated, relative to the repo's root
	Line int    `json:"line,omitempty"`
	Col  int    `json:"col,omitempty"`
}

// String returns file:line:col, leaving out what is unknown.
func (p Pos) String() string {
	switch {
	case p.File == "":
		return "-"
	case p.Line == 0:
		return p.File
	case p.Col == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Compare orders positions by file, line, column.
func (p Pos) Compare(q Pos) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Col, q.Col))
}

// A Stage is a step of the loop; every failure belongs to one.
type Stage string

// The stages, in order.
const (
	StageFetch  Stage = "fetch"
	StageVerify Stage = "verify"
	StageRender Stage = "render"
	StagePlan   Stage = "plan"
	StageApply  Stage = "apply"
	StageReport Stage = "report"
)

// A Problem is a user's mistake: what is wrong, where, and what is wanted.
type Problem struct {
	Pos   Pos    `json:"pos"`
	Spec  SpecID `json:"spec,omitzero"` // the spec that it blocks; zero if the file holds no readable spec
	Stage Stage  `json:"stage"`
	Msg   string `json:"message"` // one line: what is wrong, what is wanted

	// Detail is what a server says about it. It may hold addresses of the house, so it
	// is for the operator alone.
	Detail string `json:"detail,omitempty"`
}

// String returns "file:line:col: message".
func (p Problem) String() string { return p.Pos.String() + ": " + p.Msg }

// A Fault is a machine's fault, with the stage that it stopped.
type Fault struct {
	Stage Stage  `json:"stage"`
	Msg   string `json:"message"`
}
