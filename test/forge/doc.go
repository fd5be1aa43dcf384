// Package forge is a forge for tests: an in-process server that behaves as
// GitHub or as Gitea does where the two differ. Package contract says what both,
// and a real Gitea, must fulfil.
//
// What it imitates is what clients trip over: lists come in pages (Gitea's
// comments do not), the author of a comment is whoever holds the token, whoever
// may comment may also edit the comments of others, GitHub cuts off at 65536
// characters, Gitea names itself by its public address in links, and rights are
// refused with 403, repositories out of sight with 404.
package forge
