// Package config reads the daemon's one configuration file.
//
// The file is typed: an unknown key, a wrong value or a missing one is a Problem
// with its line, and all of them are told at once. Secrets are never in the
// file, only the names of the files that hold them.
//
// config.go is its shape and defaults, check.go what may be wrong in it, file.go how
// it and the files of secrets are read.
//
// Charter: knows the file's shape and where its secrets lie; must not know what
// any of it is used for, so no other package of Prumo but core.
package config
