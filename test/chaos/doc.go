// Package chaos proves that the engine settles, whatever happens to it.
//
// The property is eventually stable reconciliation (Anvil, OSDI 2024): from any
// state, once what is wanted and what goes wrong stop changing, within a bounded
// number of passes the cluster is as the repo says in all that is ours, and stays
// so: nothing more is written. At no time was anything deleted that we did not
// create, anything protected that nobody approved, or anything touched that the
// repo never spoke of. See docs/decisions for how it is searched for holes.
//
// It runs on a real API server, through [prumo.dev/prumo/test/chaos/wire].
package chaos
