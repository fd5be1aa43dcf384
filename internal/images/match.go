package images

import (
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"prumo.dev/prumo/internal/core"
)

// parse reads an image as a container runtime does and returns its reference
// with its repository in full: nginx is docker.io/library/nginx.
func parse(image string) (ref name.Reference, repo string, err error) {
	if ref, err = name.ParseReference(image); err != nil {
		return nil, "", err
	}
	repo = ref.Context().Name()
	if rest, ok := strings.CutPrefix(repo, name.DefaultRegistry+"/"); ok {
		repo = "docker.io/" + rest
	}
	return ref, repo, nil
}

// ruleOf returns the first rule that matches a repository.
func ruleOf(rules []core.ImageRule, repo string) (core.ImageRule, bool) {
	for _, r := range rules {
		if matches(r.Match, repo) {
			return r, true
		}
	}
	return core.ImageRule{}, false
}

func matches(pattern, repo string) bool {
	if parent, ok := strings.CutSuffix(pattern, "/**"); ok {
		depth := strings.Count(parent, "/") + 1
		parts := strings.Split(repo, "/")
		if len(parts) <= depth {
			return false
		}
		pattern, repo = parent, strings.Join(parts[:depth], "/")
	}
	ok, err := path.Match(pattern, repo)
	return err == nil && ok
}
