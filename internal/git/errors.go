package git

import (
	"errors"
	"fmt"
)

// Codes of BadObject.
const (
	CodeFormat    = "E-FORMAT"    // breaks the grammar of its type
	CodeHash      = "E-HASH"      // content does not have the id, or is a SHA-1 collision
	CodeName      = "E-NAME"      // a path element that some system would read as another
	CodeMode      = "E-MODE"      // neither a directory nor a regular file
	CodeSymlink   = "E-SYMLINK"   // mode 120000
	CodeSubmodule = "E-SUBMODULE" // mode 160000
	CodeSize      = "E-SIZE"      // over a limit
)

// Errors that callers tell apart with errors.Is.
var (
	ErrNotDescendant = errors.New("not a descendant")                   // the new commit does not build on the old one
	ErrNoCommon      = errors.New("no common history")                  // two commits without a merge base
	ErrNotFound      = errors.New("not found in the store")             // no such fetched commit or ref
	ErrAmbiguous     = errors.New("matches more than one commit")       // a prefix that is too short
	ErrRefMissing    = errors.New("the remote has no such ref")         // deleted branch, empty repository
	ErrAuth          = errors.New("the remote refused the credentials") // or asks for some
	ErrHostKey       = errors.New("the host key is not known")          // or not the known one
	ErrUnreachable   = errors.New("the remote cannot be reached")
	ErrLimit         = errors.New("over the limit")    // of what a fetch or a walk may cost
	ErrFull          = errors.New("the store is full") // Limits.StoreBytes
)

// A BadObject is an object of the repo that is refused, whoever signed it.
type BadObject struct {
	ID     string // of the object; empty if it is no object yet
	Path   string // where it lies in the tree; empty for a commit
	Code   string // stable, such as CodeSymlink
	Reason string // what is wrong and what is wanted
}

// Error returns "path: reason (code, object id)".
func (e *BadObject) Error() string {
	where := e.Path
	if where == "" {
		where = "object"
	}
	if e.ID == "" {
		return fmt.Sprintf("%s: %s (%s)", where, e.Reason, e.Code)
	}
	return fmt.Sprintf("%s: %s (%s, object %.10s)", where, e.Reason, e.Code, e.ID)
}

func badf(code, format string, args ...any) *BadObject {
	return &BadObject{Code: code, Reason: fmt.Sprintf(format, args...)}
}
