// Command mutation proves that the tests notice when a check is taken out: it
// breaks one line at a time, as mutations.yaml lists them, runs the tests that
// should fail, and fails itself if they do not. The source tree is not touched:
// the broken file is given to the compiler as an overlay. The tests must pass
// before: one that fails anyway proves nothing.
//
//	go run ./test/mutation           # all
//	go run ./test/mutation prune     # those whose name holds "prune"
//
// It prints one line a row: noticed, SURVIVED or ERROR, how long it took, and the
// first test that failed.
package main
