//go:build !linux

package smalldisk

import (
	"errors"
	"testing"
)

// Mount skips the test.
func Mount(t testing.TB, _ int64) string {
	t.Helper()
	t.Skip("a small disk is mounted on Linux alone")
	return ""
}

// ReadOnly is never reached.
func ReadOnly(testing.TB, string) {}

// Fill is never reached.
func Fill(string, int64) error { return errors.ErrUnsupported }
