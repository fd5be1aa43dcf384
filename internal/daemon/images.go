package daemon

import (
	"fmt"

	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/images"
	"prumo.dev/prumo/internal/trust"
)

// imageVerifier joins what judges container images. It asks nobody until the
// policy of a revision speaks of images.
func imageVerifier(cfg *config.Config, docs documents) (*images.Verifier, error) {
	opts := images.Options{Policy: trust.Images, Documents: docs}
	var err error
	if opts.SigstoreRoot, err = optional(cfg.Images.SigstoreRoot); err != nil {
		return nil, fmt.Errorf("images.sigstoreRoot: %w", err)
	}
	for _, r := range cfg.Images.Registries {
		known := images.Registry{Host: r.Host, Username: r.Username}
		if known.Password, err = config.ReadSecret(r.PasswordFile); err == nil {
			known.DockerConfig, err = optional(r.DockerConfigFile)
		}
		if err == nil {
			known.CA, err = optional(r.CAFile)
		}
		if err != nil {
			return nil, fmt.Errorf("images.registries, %s: %w", r.Host, err)
		}
		opts.Registries = append(opts.Registries, known)
	}
	return images.New(opts)
}

// optional reads a file that need not be named.
func optional(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	return config.ReadFile(name)
}
