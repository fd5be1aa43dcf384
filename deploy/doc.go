// Package deploy holds the manifests that run Prumo in a cluster.
//
// manifests/ is plain: `kubectl apply -f deploy/manifests` works once the image,
// the repo and the trust anchor in it are edited. Render does those edits for
// `reconciler install`, and keeps the comments. optional/ is applied by hand by
// whoever wants what it grants. image/ is the program that builds the container
// image.
//
// Charter: text in, text out. It never imports a client of any kind, net/http or os.
package deploy
