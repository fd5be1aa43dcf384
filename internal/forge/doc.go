// Package forge speaks the pull request API that GitHub, GitHub Enterprise
// Server, Gitea and Forgejo share: it lists open pull requests, keeps one
// comment on each, and sets commit statuses.
//
// What a forge says is hostile input: answers, pages and redirects are bounded,
// the token goes to no other host and into no message, and a comment is ours
// only if our own account wrote it, whatever its text claims.
//
// Charter: it knows HTTP and the forge's JSON. It never imports Kubernetes, CUE
// or go-git, and no forge's SDK: the five calls that are needed are smaller than
// any of them.
package forge
