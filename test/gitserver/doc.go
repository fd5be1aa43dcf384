// Package gitserver runs real Git servers for tests, on free loopback ports:
// smart HTTPS with a password around the installed git http-backend, and SSH
// around the installed git-upload-pack. They count what they send, and can be
// made unreachable and reachable again.
//
// Charter: needs git to be installed; must not import any package of the
// program.
package gitserver
