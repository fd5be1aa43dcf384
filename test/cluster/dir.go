package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// tempPattern names the temporary folders of clusters.
const tempPattern = "prumo-cluster-*"

// claimDir makes the folder of a cluster, a temporary one if dir is empty, and
// locks it until the returned file is closed or this process ends.
func claimDir(dir string) (string, *os.File, error) {
	temp := dir == ""
	var err error
	if temp {
		removeAbandoned()
		dir, err = os.MkdirTemp("", tempPattern)
	} else if dir, err = filepath.Abs(dir); err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", nil, err
	}
	lock, err := tryLock(filepath.Join(dir, "lock"))
	if errors.Is(err, unix.EWOULDBLOCK) {
		return "", nil, fmt.Errorf("%s is in use by another cluster: stop it or choose another folder", dir)
	}
	return dir, lock, err
}

// removeAbandoned removes the temporary folders that processes left behind
// which were killed: each would keep 130 MB of etcd's logs. What is in use is
// locked; what cannot be removed is left to whoever can.
func removeAbandoned() {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), tempPattern))
	if err != nil {
		return // only a malformed pattern
	}
	for _, dir := range dirs {
		// A folder without a lock file may be one that is just being made.
		name := filepath.Join(dir, "lock")
		if _, err := os.Lstat(name); err != nil {
			continue
		}
		if lock, err := tryLock(name); err == nil {
			_ = os.RemoveAll(dir)
			_ = lock.Close()
		}
	}
}

// tryLock opens and locks a file, and fails with EWOULDBLOCK if another
// process holds it. The lock ends with the file or the process.
func tryLock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}
