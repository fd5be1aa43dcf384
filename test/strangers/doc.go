// Package strangers lets people who sign nothing do their worst to a daemon: it runs in a
// process of its own with little memory and small disks, against a real control plane,
// while they propose bombs and its forge is slow. What is signed must be applied all the
// same, and drift be corrected.
package strangers
