package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"prumo.dev/prumo/internal/git"
	"prumo.dev/prumo/internal/trust"
)

// took is how long the parts took.
type took struct {
	Fetch, Verify       time.Duration // the whole history
	FetchOne, VerifyOne time.Duration // one more commit
	Restart             time.Duration // to judge that one without anything remembered
}

// judge does what a daemon does with a new repo, and then with a new commit.
func judge(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, "trust.yaml"))
	if err != nil {
		return err
	}
	anchor, problems := trust.ParseAnchor("trust.yaml", data)
	if anchor == nil {
		return fmt.Errorf("trust file: %v", problems)
	}
	repo, err := git.Open(filepath.Join(dir, "store"), git.Remote{URL: filepath.Join(dir, "origin.git")}, git.Limits{Commits: anchor.Commits})
	if err != nil {
		return err
	}
	ctx, verifier := context.Background(), trust.NewVerifier(anchor)
	var t took
	step := func(v *trust.Verifier, branch, from string) (tip string, fetch, verify time.Duration, err error) {
		start := time.Now()
		if tip, err = repo.Fetch(ctx, "refs/heads/"+branch); err != nil {
			return "", 0, 0, err
		}
		fetch = time.Since(start)
		start = time.Now()
		verdict, err := v.Verify(ctx, repo, from, tip)
		if err == nil && verdict.Refusal != nil {
			err = fmt.Errorf("refused: %s", verdict.Refusal)
		}
		return tip, fetch, time.Since(start), err
	}
	var tip string
	if tip, t.Fetch, t.Verify, err = step(verifier, "main", ""); err != nil {
		return err
	}
	if _, t.FetchOne, t.VerifyOne, err = step(verifier, "next", tip); err != nil {
		return err
	}
	if _, _, t.Restart, err = step(trust.NewVerifier(anchor), "next", tip); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(t)
}
