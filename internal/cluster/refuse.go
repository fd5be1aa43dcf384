package cluster

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"prumo.dev/prumo/internal/core"
)

// maxReason bounds a message that comes from the server, in bytes: an admission
// webhook may answer with megabytes.
const maxReason = 500

// A refusal is what this package refuses before the server could.
type refusal string

func (r refusal) Error() string { return string(r) }

// Refusal says in one plain sentence why the server refuses what was asked about
// one object. It reports false for what is not about this object: a server that
// does not answer, is overloaded, or does not know who we are. A refusal that
// concerns a Secret never quotes the server, whose messages quote values.
func Refusal(err error, id core.ObjectID) (string, bool) {
	if missing := (*meta.NoKindMatchError)(nil); errors.As(err, &missing) {
		gvk := missing.GroupKind.WithVersion(strings.Join(missing.SearchedVersions, ","))
		return fmt.Sprintf("the cluster does not serve %s %s: install what provides it, or its CustomResourceDefinition",
			gvk.GroupVersion(), gvk.Kind), true
	}
	if own := refusal(""); errors.As(err, &own) {
		return string(own), true
	}
	status := apierrors.APIStatus(nil)
	if !asStatus(err, &status) {
		return "", false
	}
	s := status.Status()
	switch {
	case s.Code == http.StatusUnauthorized, s.Code == http.StatusTooManyRequests,
		s.Code > http.StatusInternalServerError, s.Code == 0:
		return "", false
	case s.Code == http.StatusForbidden && strings.Contains(s.Message, " cannot ") && strings.Contains(s.Message, " resource "):
		return "forbidden: " + line(rbac(s)), true
	case s.Code == http.StatusConflict:
		return conflictReason(err), true
	case isRemade(s):
		return "changed since the plan was made: it is another object of the same name", true
	case isTerminating(s):
		return fmt.Sprintf("namespace %s is terminating", id.Namespace), true
	case id.Group == "" && id.Kind == "Secret":
		return secretReason(s), true
	case s.Code == http.StatusForbidden, s.Code == http.StatusInternalServerError && isWebhook(s.Message),
		strings.HasPrefix(s.Message, "admission webhook "): // which may answer with any code
		return "refused by admission: " + line(s.Message), true
	case s.Code == http.StatusNotFound && s.Details != nil && s.Details.Kind == "namespaces":
		return fmt.Sprintf("namespace %s does not exist and nothing in the repo creates it", s.Details.Name), true
	case s.Code == http.StatusNotFound:
		return "the cluster does not serve its API any more: " + line(s.Message), true
	case s.Code == http.StatusRequestEntityTooLarge:
		return "the object is larger than the API server accepts", true
	}
	return "refused: " + line(s.Message), true
}

// isRemade reports whether a manifest names the uid of an object that is no more.
func isRemade(s metav1.Status) bool {
	return s.Details != nil && slices.ContainsFunc(s.Details.Causes, func(c metav1.StatusCause) bool {
		return c.Field == "metadata.uid"
	})
}

// isTerminating reports whether the namespace of an object is being deleted.
func isTerminating(s metav1.Status) bool {
	return s.Details != nil && slices.ContainsFunc(s.Details.Causes, func(c metav1.StatusCause) bool {
		return c.Type == corev1.NamespaceTerminatingCause
	})
}

// rbac is the server's own words about a missing permission, from the user on:
// they name the verb, the resource and the namespace, and no value.
func rbac(s metav1.Status) string {
	_, words, ok := strings.Cut(s.Message, "is forbidden: ")
	if !ok {
		return s.Message
	}
	return words + "; grant it in the role of this user"
}

// conflictReason tells an ownership conflict from an object that has changed.
func conflictReason(err error) string {
	found := Conflicts(err, nil)
	if len(found) == 0 {
		return "changed since the plan was made"
	}
	var words []string
	for _, c := range found {
		words = append(words, fmt.Sprintf("%s by %s", c.Path, c.Manager))
	}
	return line("fields are owned by others: " + strings.Join(words, ", "))
}

// secretReason names what is wrong with a Secret by field and kind of mistake.
func secretReason(s metav1.Status) string {
	reason := string(s.Reason)
	if reason == "" {
		reason = http.StatusText(int(s.Code))
	}
	var where []string
	if s.Details != nil {
		for _, c := range s.Details.Causes {
			where = append(where, fmt.Sprintf("%s (%s)", c.Field, c.Type))
		}
	}
	if hook, ok := webhookName(s.Message); ok {
		where = append(where, "admission webhook "+hook)
	}
	if len(where) > 0 {
		reason += ": " + strings.Join(where, ", ")
	}
	return line("refused: " + reason + "; the message is withheld, for it may quote a secret")
}

func isWebhook(message string) bool { return strings.Contains(message, "webhook") }

// webhookName finds the name in: admission webhook "name" denied the request.
func webhookName(message string) (string, bool) {
	_, rest, ok := strings.Cut(message, "webhook \"")
	if !ok {
		return "", false
	}
	name, _, ok := strings.Cut(rest, "\"")
	return name, ok && len(name) <= 253 // a DNS name (RFC 1123)
}

// line makes one bounded, printable line of a message that others wrote.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "") + "…"
	}
	return s
}

func asStatus(err error, status *apierrors.APIStatus) bool { return errors.As(err, status) }
