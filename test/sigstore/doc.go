// Package sigstore is an authority of certificates with the log that watches it,
// as a Sigstore instance has them, for tests: sigstore-go's own stand-in makes
// certificates that no log has seen.
//
// Charter: knows Sigstore's and certificate transparency's formats, and nothing
// of ours: what signs must not contain what judges.
package sigstore
