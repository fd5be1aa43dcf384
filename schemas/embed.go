// Package schemas embeds the CUE module prumo.dev/schemas: the kinds that are
// built in, one source of truth for the engine and for authors.
package schemas

import "embed"

// Version is the version of the module that this build serves.
const Version = "v0.1.0"

// FS holds the module: cue.mod/module.cue and the *.cue files.
//
//go:embed cue.mod/module.cue *.cue
var FS embed.FS
