// Package smalldisk is a disk that is small enough to be filled, for tests of what
// happens then. It is a tmpfs: tests that need one are skipped where none can be
// mounted, which is everywhere but on Linux as root.
//
// Charter: standard library only.
package smalldisk
