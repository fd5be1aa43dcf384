package deploy

import "embed"

// FS holds manifests/ and optional/.
//
//go:embed manifests/*.yaml optional/*.yaml
var FS embed.FS
