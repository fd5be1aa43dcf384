package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"regexp"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"prumo.dev/prumo/internal/cluster"
	"prumo.dev/prumo/internal/config"
	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/reconcile"
	"prumo.dev/prumo/internal/report"
)

const (
	approvalDocument = "approval"

	// MaxApproval is how long an approval lasts at most: whoever gives one has the
	// plan before their eyes.
	MaxApproval = 7 * 24 * time.Hour

	maxName = 200 // bytes of who approved
)

var planHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

// approval is the document in which a person approves one plan. Who may write it may
// approve. It is used once: from Begun on it is about what is left of that plan.
type approval struct {
	Plan  string    `json:"plan,omitempty"` // its hash
	By    string    `json:"by,omitempty"`   // as they say; who it really was the API server's audit log tells
	At    time.Time `json:"at,omitzero"`
	Until time.Time `json:"until,omitzero"`
	Begun *begun    `json:"begun,omitempty"`
}

// begun is what was held of a plan when it was begun.
type begun struct {
	Commit string   `json:"commit"`
	Deeds  []string `json:"deeds"` // see core.Change.Deed
}

// storedApprovals implement reconcile.Approvals with one document.
type storedApprovals struct {
	docs documents
	now  func() time.Time
}

func approvals(docs documents) reconcile.Approvals {
	if docs == nil {
		return nil
	}
	return storedApprovals{docs, time.Now}
}

// Grant implements reconcile.Approvals. Whatever fails, nothing is approved.
func (s storedApprovals) Grant(ctx context.Context, plan core.Plan) (core.Approval, *core.Warning) {
	granted, found, err := s.grant(ctx, plan)
	switch {
	case errors.Is(err, cluster.ErrChanged):
		return core.Approval{}, nil // somebody approves just now: the next pass sees it
	case err != nil:
		return core.Approval{}, &core.Warning{Code: core.CodeApproval, Found: "approvals cannot be read: " + err.Error(),
			Remedy: "what is held stays held until they can be"}
	case found != "":
		return core.Approval{}, &core.Warning{Code: core.CodeApproval, Found: found,
			Remedy: "look at what waits now, and if it is right: " + plan.Approve}
	}
	return granted, nil
}

// grant returns what is approved, or what was found instead.
func (s storedApprovals) grant(ctx context.Context, plan core.Plan) (granted core.Approval, found string, err error) {
	a, version, err := loadApproval(ctx, s.docs)
	if err != nil {
		return granted, "", err
	}
	if version == "" { // an empty one, so that who approves need not be allowed to create
		return granted, "", saveApproval(ctx, s.docs, approval{}, "")
	}
	now := s.now()
	switch {
	case a.Plan == "":
		return granted, "", nil
	case a.Begun != nil:
		if a.Begun.Commit == plan.Revision.Commit && now.Before(a.Until) {
			granted = core.Approval{Begun: a.Begun.all(), By: a.By}
		}
		return granted, "", nil
	case a.Until.After(now.Add(MaxApproval)):
		return granted, fmt.Sprintf("an approval by %s is to last until %s, longer than any may", a.By, a.Until.Format(time.RFC3339)), nil
	case a.Plan != plan.Hash && now.Before(a.Until):
		return granted, fmt.Sprintf("%s approved the plan %s, and another one waits: %s", a.By, a.Plan, plan.Hash), nil
	case a.Plan != plan.Hash:
		return granted, "", nil
	case !now.Before(a.Until):
		return granted, fmt.Sprintf("the approval by %s ended at %s", a.By, a.Until.Format(time.RFC3339)), nil
	}
	// The intent first: whoever is killed from here on finds what it had begun, and
	// nobody can use the hash again.
	a.Begun = &begun{Commit: plan.Revision.Commit, Deeds: heldDeeds(plan)}
	if err := saveApproval(ctx, s.docs, a, version); err != nil {
		return granted, "", err
	}
	return core.Approval{Begun: a.Begun.all(), By: a.By}, "", nil
}

func heldDeeds(plan core.Plan) (deeds []string) {
	for _, c := range plan.Changes {
		if c.Approvable {
			deeds = append(deeds, c.Deed())
		}
	}
	return deeds
}

func (b begun) all() map[string]bool {
	all := make(map[string]bool, len(b.Deeds))
	for _, d := range b.Deeds {
		all[d] = true
	}
	return all
}

// loadApproval returns the document; its version is empty if there is none.
func loadApproval(ctx context.Context, docs documents) (a approval, version string, err error) {
	data, version, err := docs.Load(ctx, approvalDocument)
	if err != nil || version == "" {
		return a, version, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		return approval{}, version, fmt.Errorf("the document %q is not an approval (approving again mends it): %w", approvalDocument, err)
	}
	a.By = a.By[:min(len(a.By), maxName)]
	return a, version, nil
}

func saveApproval(ctx context.Context, docs documents, a approval, version string) error {
	data, err := json.Marshal(a)
	if err == nil {
		_, err = docs.Save(ctx, approvalDocument, data, version)
	}
	return err
}

// Approve records that a person lets go on what the plan with a hash holds, for
// whoever carries out plans with this configuration, now or until some time has
// passed. It returns when that is, and where it is recorded.
func Approve(ctx context.Context, cfg *config.Config, hash string, lasts time.Duration) (until time.Time, where string, err error) {
	if !planHash.MatchString(hash) {
		return until, "", fmt.Errorf("%q is not the hash of a plan: want the 64 hexadecimal digits that the plan ends with", hash)
	}
	if lasts <= 0 || lasts > MaxApproval {
		return until, "", fmt.Errorf("an approval lasts %v, want more than nothing and at most %v", lasts, MaxApproval)
	}
	docs, by, where, err := approver(ctx, cfg)
	if err != nil {
		return until, "", err
	}
	now := time.Now().UTC().Truncate(time.Second)
	a := approval{Plan: hash, By: by, At: now, Until: now.Add(lasts)}
	for range 5 { // the daemon writes there too
		var version string
		if _, version, err = docs.Load(ctx, approvalDocument); err != nil {
			break
		}
		if err = saveApproval(ctx, docs, a, version); !errors.Is(err, cluster.ErrChanged) {
			break
		}
	}
	if apierrors.IsForbidden(err) {
		err = fmt.Errorf("you may not approve here; deploy/optional/rbac-approvers.yaml is the role for it: %w", err)
	}
	return a.Until, where, err
}

// approver is where somebody may approve, and who they are.
func approver(ctx context.Context, cfg *config.Config) (docs documents, by, where string, err error) {
	if cfg.StateNamespace != "" {
		live, err := connect(cfg)
		if err != nil {
			return nil, "", "", err
		}
		by, err := live.WhoAmI(ctx)
		return live.Documents(cfg.StateNamespace), by, "namespace " + cfg.StateNamespace, err
	}
	info, err := os.Stat(cfg.StateDir)
	if err != nil {
		return nil, "", "", fmt.Errorf("state folder: %w; approve on the machine of the daemon", err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		return nil, "", "", fmt.Errorf("the state folder %s belongs to user %d: approve as that user, such as by sudo -u '#%d'", cfg.StateDir, owner.Uid, owner.Uid)
	}
	if who, err := user.Current(); err == nil {
		by = who.Username
	}
	return folder(cfg.StateDir), by, cfg.StateDir, nil
}

// approveCommand is how a plan that waits is approved, but for its hash; empty if
// there is no place to.
func approveCommand(cfg *config.Config) string {
	switch {
	case cfg.StateNamespace != "":
		return report.Command("reconciler", "approve", "--namespace", cfg.StateNamespace, "--instance", cfg.Instance)
	case cfg.File != "":
		return report.Command("reconciler", "approve", "--config", cfg.File)
	}
	return ""
}
