package demo

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"prumo.dev/prumo/examples"
	"prumo.dev/prumo/test/cluster"
	"prumo.dev/prumo/test/fixtures"
	"prumo.dev/prumo/test/forge"
	"prumo.dev/prumo/test/lab"
)

func (s *story) start(ctx context.Context) error {
	var err error
	if s.cluster, err = cluster.Start(ctx, cluster.Options{Workloads: true, Log: s.say}); err != nil {
		return err
	}
	if err := s.cluster.AddNodes(ctx, fixtures.Nodes()); err != nil {
		return err
	}
	s.say("Twelve machines have joined. Nobody has told the cluster yet what they are for.")
	return nil
}

func (s *story) push(ctx context.Context) error {
	var err error
	if s.lab, err = lab.New(s.dir); err != nil {
		return err
	}
	s.forge = forge.NewServer(forge.Gitea)
	token := filepath.Join(s.dir, "forge-token")
	if err := os.WriteFile(token, []byte(s.forge.Token("prumo")), 0o600); err != nil {
		return err
	}
	err = s.lab.WriteConfig(s.cluster.Kubeconfig(),
		fmt.Sprintf("forge: {type: github, url: %q, repo: %q, tokenFile: forge-token}", s.forge.URL(), forge.Repo))
	if err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(s.dir, "infra-repo"), examples.InfraRepo()); err != nil {
		return err
	}
	return s.run(ctx, 0, 5, "validate", "infra-repo")
}

func (s *story) verify(ctx context.Context) error {
	return s.run(ctx, 0, 20, "verify", "--config", s.lab.Config)
}

func (s *story) plan(ctx context.Context) error {
	return s.run(ctx, 2, 30, "plan", "--config", s.lab.Config)
}

func (s *story) apply(ctx context.Context) error {
	if err := s.run(ctx, 0, -6, "apply", "--config", s.lab.Config); err != nil {
		return err
	}
	return s.run(ctx, 0, 8, "drift", "--config", s.lab.Config)
}

func (s *story) damage(ctx context.Context) error {
	for _, d := range damages {
		if err := d.do(ctx, s.cluster); err != nil {
			return err
		}
		s.say("%s", d.what)
	}
	return nil
}

func (s *story) drift(ctx context.Context) error {
	return s.run(ctx, 2, 40, "drift", "--config", s.lab.Config)
}

func (s *story) correct(ctx context.Context) error {
	if err := s.run(ctx, 0, -6, "apply", "--config", s.lab.Config); err != nil {
		return err
	}
	s.say("A dead GPU stays a dead GPU: it is reported for as long as it is missing.")
	return s.run(ctx, 2, 12, "drift", "--config", s.lab.Config)
}

func (s *story) unsigned(ctx context.Context) error {
	before := s.lab.Repo.Head()
	if err := s.lab.Repo.Remove("pools/training.cue"); err != nil {
		return err
	}
	if _, err := s.lab.Commit("", "pools: drop training"); err != nil {
		return err
	}
	if err := s.lab.Push(); err != nil {
		return err
	}
	if err := s.run(ctx, 1, 14, "apply", "--config", s.lab.Config); err != nil {
		return err
	}
	s.say("Nothing changed: the last good revision stays in force, drift correction included.")
	if err := s.lab.Repo.Reset(before); err != nil {
		return err
	}
	return s.lab.Repo.PushForce(s.lab.Origin)
}

func (s *story) propose(ctx context.Context) error {
	base := s.lab.Repo.Head()
	if err := s.lab.Repo.Branch("less-vision"); err != nil {
		return err
	}
	text, err := fs.ReadFile(examples.InfraRepo(), "pools/inference.yaml")
	if err != nil {
		return err
	}
	if err := s.lab.Repo.Write("pools/inference.yaml", lessVision(text)); err != nil {
		return err
	}
	if err := s.lab.Repo.Remove("tools/label-studio.yaml"); err != nil {
		return err
	}
	head, err := s.lab.Commit("ben", "pools, tools: vision moves out")
	if err != nil {
		return err
	}
	if err := s.lab.Push(); err != nil {
		return err
	}
	number := s.forge.AddPull(forge.Pull{Title: "Vision moves out", Author: "ben",
		HeadRef: "less-vision", HeadSHA: head, BaseRef: "main", BaseSHA: base})
	s.say("Ben proposes less quota for vision, and to remove its labelling tool. The comment on it:")
	return s.run(ctx, 0, 60, "plan", "--config", s.lab.Config, "--pr", fmt.Sprint(number))
}
