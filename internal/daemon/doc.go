// Package daemon wires a configuration into a running reconciler: the parts that
// a pass needs, the files that a report goes to, and the HTTP endpoints that say
// how it is.
//
// Charter: wiring. It may import everything, and decides nothing that a pass
// depends on.
package daemon
