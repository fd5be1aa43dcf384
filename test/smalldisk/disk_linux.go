package smalldisk

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
)

// Mount mounts an empty disk of some bytes for the time of a test and returns its
// folder.
func Mount(t testing.TB, bytes int64) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a small disk can be mounted by root alone: run this test as root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { // files on it may be open still
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount the small disk: %v", err)
		}
	})
	return dir
}

// ReadOnly makes a mounted disk one that cannot be written to.
func ReadOnly(t testing.TB, dir string) {
	t.Helper()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatalf("make the small disk read-only: %v", err)
	}
}

// Fill writes a file that leaves so many bytes of its disk free.
func Fill(name string, free int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = nil
	}
	info, statErr := f.Stat()
	if err = errors.Join(err, statErr); err == nil {
		err = f.Truncate(max(0, info.Size()-free))
	}
	return errors.Join(err, f.Close())
}
