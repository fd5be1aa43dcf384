package diff

import (
	"strings"
	"testing"
	"time"

	"prumo.dev/prumo/internal/core"
)

// A conflict is taken where the spec names its field, and nowhere else: one that
// is not named blocks all.
func TestForceFields(t *testing.T) {
	const live = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: vision}
spec: {ports: [{name: http, port: 80, protocol: TCP, targetPort: 1}], sessionAffinity: None}
`
	since := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, conflicts, force, blocked string
	}{
		{"named", ".spec.sessionAffinity", ".spec.sessionAffinity", ""},
		{"named with what is around it", ".spec.sessionAffinity", ".spec", ""},
		{"named by another key", ".spec.ports[port=80,protocol=TCP].targetPort", ".spec.ports[name=http].targetPort", ""},
		{"another item", ".spec.ports[port=80,protocol=TCP].targetPort", ".spec.ports[name=https].targetPort", ".spec.ports[port=80,protocol=TCP].targetPort"},
		{"another field", ".spec.sessionAffinity", ".spec.session", ".spec.sessionAffinity"},
		{"what is around it, named by a part", ".spec.ports", ".spec.ports[name=http]", ".spec.ports"},
		{"one of two", ".spec.sessionAffinity .spec.ports[port=80,protocol=TCP].targetPort", ".spec.sessionAffinity", ".spec.ports[port=80,protocol=TCP].targetPort"},
		{"none", ".spec.sessionAffinity", "", ".spec.sessionAffinity"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fixture{want: strings.ReplaceAll(live, "None", "ClientIP"), live: live, ours: true}
			f.predicted = f.want
			for _, path := range strings.Fields(tt.conflicts) {
				f.conflicts = append(f.conflicts, core.Conflict{Path: path, Manager: "argocd", Operation: "Apply", Since: since})
			}
			o := f.observed(t)
			o.Object.Force = paths(t, strings.Fields(tt.force)...)
			c := one(t, Make(core.Revision{}, core.Observation{Objects: []core.Observed{o}}, Options{}))
			if tt.blocked == "" {
				if c.Action != core.ActionUpdate || !c.Force || !strings.HasPrefix(c.Reason, "takes over: ") {
					t.Errorf("%s, force %t: %s", c.Action, c.Force, c.Reason)
				}
				return
			}
			want := tt.blocked + " belongs to argocd (Apply since 2026-11-22T09:30:00Z); take it out"
			if c.Action != core.ActionBlocked || c.Force || !strings.HasPrefix(c.Reason, want) {
				t.Errorf("%s, force %t: %s\nwant blocked: %s", c.Action, c.Force, c.Reason, want)
			}
		})
	}
}
