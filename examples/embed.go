package examples

import (
	"embed"
	"io/fs"
)

//go:embed all:infra-repo
var files embed.FS

// InfraRepo holds the files of the example infra repo.
func InfraRepo() fs.FS {
	sub, err := fs.Sub(files, "infra-repo")
	if err != nil {
		panic(err) // the name is valid
	}
	return sub
}
