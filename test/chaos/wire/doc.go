// Package wire is a connection to a real API server on which everything goes wrong
// that can: requests are refused or lost, answers are lost or cut off or of
// yesterday, watches lag, break and go back in time, and the process at our end is
// killed at a write of one's choice.
//
// Nothing here is played: what is not broken reaches the real server. A [Wire] is
// the connection of one process; a [Past] outlives it, and is what a server that
// lags behind the others would answer from.
//
// Charter: it knows HTTP and how the API server frames its answers, and nothing of
// what it is used to test.
package wire
