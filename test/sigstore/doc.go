// Package sigstore is what sigstore-go's own stand-in for a Sigstore instance has
// not, for tests: an authority of certificates with the log that watches it, and
// a log of signatures of the second kind (Rekor v2).
//
// Charter: knows Sigstore's and certificate transparency's formats, and nothing
// of ours: what signs must not contain what judges.
package sigstore
