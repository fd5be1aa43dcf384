package config

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile bounds the configuration file and each secret file, in bytes.
const maxFile = 1 << 20

// ReadFile reads a file of at most 1 MiB.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxFile)
	}
	return data, nil
}

// ReadSecret reads a file that holds a secret, without the line end that editors
// leave. An empty name is an empty secret.
func ReadSecret(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	data, err := ReadFile(name)
	return strings.TrimRight(string(data), "\r\n"), err
}
