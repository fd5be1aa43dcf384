package schemas

import "embed"

// Version is the version of the module that this build serves.
const Version = "v0.1.0"

// FS holds the module: cue.mod/module.cue and the *.cue files.
//
//go:embed cue.mod/module.cue *.cue
var FS embed.FS
