// Package git brings commits of the infra repo into a bare store on disk and
// reads them: commits for who said what, trees for what changed, files for what
// is declared. There is no checkout, no hook, no filter and no git binary.
//
// All that comes from a remote is hostile. A pack is spooled and measured
// before the store sees it; commits and trees are parsed from their raw bytes
// by a grammar that is narrower than what git writes, never by go-git's lenient
// decoders; every object is hashed again when it is read, and a known SHA-1
// collision is refused. Whether a commit may be obeyed is for the trust package.
//
// Charter: knows go-git (transport and object storage only) and core. Must not
// import CUE, Kubernetes or a forge, and never runs another program.
package git
