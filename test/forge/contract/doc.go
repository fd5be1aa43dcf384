// Package contract is what every forge must fulfil: the in-process ones of
// test/forge, and a real Gitea.
package contract
