// Package reconcile is the order of things: fetch, verify, render, observe, plan,
// apply, remember, report. Read reconcile.go first; it is the whole product in
// one page. loop.go says what wakes it and how it backs off, lastgood.go what
// stays in force when a spec is broken, approvals.go how what is held goes on, inforce.go
// what proposals are compared with.
//
// Charter: knows core, the pure packages diff and drift, and the interfaces that
// it declares here for everything with an effect. Must not import CUE, go-git,
// client-go, cosign, a forge or net/http.
package reconcile
