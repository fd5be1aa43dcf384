// Package images decides which container images may run.
//
// It finds every image that rendered objects name, resolves each tag to a digest
// once, asks cosign whether that digest is signed as the repo's policy demands,
// and rewrites the objects to repository@digest: what was verified is what runs.
// An image that is refused takes the objects of its spec out of the rendering,
// with a Problem at the spec, and the spec stays in force as it last was. What was
// let in is remembered (pins.go), for tags that move and for restarts.
//
// Nothing here pulls an image. Only manifests, signatures and attestations are
// read, each bounded in size, number and time.
//
// # Charter
//
// Knows core, registries and cosign. Must not import CUE, Kubernetes clients or
// go-git: an image is judged whoever asks for it, and for whatever it is used.
package images
