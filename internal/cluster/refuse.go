package cluster

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
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

// A Denial is why the server refuses what was asked about one object.
type Denial struct {
	// Reason names the kind of refusal, the fields, and the quota, policy or webhook
	// that refuses. It never holds a value, so everybody may read it.
	Reason string

	// ServerSays is the server's own message, on one line and bounded. It may quote
	// live values and addresses, so it is for the operator alone. It is empty where
	// Reason says it all, and for a Secret.
	ServerSays string
}

// Refusal says why the server refuses what was asked about one object. It reports
// false for what is not about this object: a server that does not answer, is
// overloaded, or does not know who we are.
func Refusal(err error, id core.ObjectID) (Denial, bool) {
	if missing := (*meta.NoKindMatchError)(nil); errors.As(err, &missing) {
		gvk := missing.GroupKind.WithVersion(strings.Join(missing.SearchedVersions, ","))
		return Denial{Reason: fmt.Sprintf("the cluster does not serve %s %s: install what provides it, or its CustomResourceDefinition",
			gvk.GroupVersion(), gvk.Kind)}, true
	}
	if own := refusal(""); errors.As(err, &own) {
		return Denial{Reason: string(own)}, true
	}
	status := apierrors.APIStatus(nil)
	if !asStatus(err, &status) {
		return Denial{}, false
	}
	s := status.Status()
	switch {
	case isDenied(s): // a webhook may answer with any code
	case s.Code == http.StatusUnauthorized, s.Code == http.StatusTooManyRequests,
		s.Code > http.StatusInternalServerError, s.Code == 0:
		return Denial{}, false
	case s.Code == http.StatusConflict:
		return Denial{Reason: conflictReason(err)}, true
	}
	d := Denial{Reason: line(reasonOf(s, id)), ServerSays: line(s.Message)}
	if quotesSecrets(id) {
		d.ServerSays = "" // it quotes values
	}
	return d, true
}

func quotesSecrets(id core.ObjectID) bool { return id.Group == "" && id.Kind == "Secret" }

// reasonOf names what a server refuses without a word that may be a live value.
func reasonOf(s metav1.Status, id core.ObjectID) string {
	switch {
	case isDenied(s):
	case isRemade(s):
		return "changed since the plan was made: it is another object of the same name"
	case isTerminating(s):
		return fmt.Sprintf("namespace %s is terminating", id.Namespace)
	case s.Code == http.StatusNotFound && s.Details != nil && s.Details.Kind == "namespaces":
		return fmt.Sprintf("namespace %s does not exist and nothing in the repo creates it", id.Namespace)
	case s.Code == http.StatusNotFound:
		return fmt.Sprintf("the cluster does not serve the API of %s any more", id.Kind)
	case s.Code == http.StatusRequestEntityTooLarge:
		return "the object is larger than the API server accepts"
	}
	if reason := match(refusers, s.Message); reason != "" {
		return reason
	}
	if reason := match(schemaMistakes, s.Message); reason != "" && !quotesSecrets(id) {
		return reason
	}
	reason := string(s.Reason)
	if reason == "" {
		reason = http.StatusText(int(s.Code))
	}
	if where := causes(s); where != "" {
		return "refused: " + reason + ": " + where
	}
	return "refused: " + reason
}

// refusers are the parts of a cluster that refuse an object, by how the server tells
// of them. A message is matched for the name of the part alone: the rest of it is
// written by admission plugins and webhooks, and quotes values.
var refusers = []pattern{
	{regexp.MustCompile(`User "([^"]{1,253})" cannot ([a-z]{1,20}) resource "([a-z0-9./-]{1,253})" in API group "([a-z0-9.-]{0,253})"` +
		`( in the namespace "` + dnsName + `"| at the cluster scope)?`),
		"forbidden: User %q cannot %s resource %q in API group %q%s; grant it in the role of this user"},
	{regexp.MustCompile(`exceeded quota: (` + dnsName + `)`), "refused by admission: exceeds quota %s"},
	{regexp.MustCompile(`ValidatingAdmissionPolicy '(` + dnsName + `)' with binding '` + dnsName + `'`),
		"refused by admission: ValidatingAdmissionPolicy %s"},
	{regexp.MustCompile(`violates PodSecurity "([a-z]{1,20}:[a-z0-9.]{1,20})"`), "refused by admission: violates PodSecurity %s"},
	{regexp.MustCompile(`failed calling webhook "(` + dnsName + `)"`), "refused by admission: webhook %s cannot be called"},
	{regexp.MustCompile(`admission webhook "(` + dnsName + `)" denied`), "refused by admission: webhook %s"},
	{regexp.MustCompile(`[Cc]onversion webhook for (` + dnsName + `/[a-z0-9]{1,63}), Kind=([A-Za-z0-9]{1,63})`),
		"the conversion webhook for %s %s fails: objects of this kind cannot be read until it is mended"},
	{regexp.MustCompile(`LimitRange|(?:maximum|minimum) [a-z]{1,20} usage per `), "refused by admission: outside the limits of a LimitRange"},
	{regexp.MustCompile(` is forbidden: `), "refused by admission"},
}

// schemaMistakes are mistakes of what is sent, by the server's message. The names of
// fields that a schema does not have are not shown of a Secret: one may be a value.
var schemaMistakes = []pattern{
	{regexp.MustCompile(` (\.[A-Za-z0-9_.\[\]"=/-]{1,200}): field not declared in schema`), "refused: %s: field not declared in schema"},
	{regexp.MustCompile(` (\.[A-Za-z0-9_.\[\]"=/-]{1,200}): expected ([a-z]{1,20}), got `), "refused: %s: expected %s"},
}

// A pattern makes a reason of a message.
type pattern struct {
	message *regexp.Regexp
	reason  string // with the names that were matched
}

// match returns the reason of the first pattern that fits; "" if none does.
func match(patterns []pattern, message string) string {
	for _, p := range patterns {
		m := p.message.FindStringSubmatch(message)
		if m == nil {
			continue
		}
		names := make([]any, len(m)-1)
		for i, name := range m[1:] {
			names[i] = name
		}
		return fmt.Sprintf(p.reason, names...)
	}
	return ""
}

// dnsName is a DNS subdomain (RFC 1123), as objects of Kubernetes are named.
const dnsName = `[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?`

// fieldPath is how a server names a field. Who writes an admission webhook may put
// any text there.
var fieldPath = regexp.MustCompile(`^[A-Za-z0-9_.\[\]"/-]{1,200}$`)

// maxCauses bounds how many fields a Reason names.
const maxCauses = 5

// causes names the fields that are wrong, and the kind of each mistake.
func causes(s metav1.Status) string {
	if s.Details == nil || webhookMessage(s.Message) {
		return ""
	}
	var where []string
	for i, c := range s.Details.Causes {
		if i == maxCauses {
			where = append(where, fmt.Sprintf("and %d more", len(s.Details.Causes)-i))
			break
		}
		if fieldPath.MatchString(c.Field) {
			where = append(where, fmt.Sprintf("%s (%s)", c.Field, strings.TrimPrefix(string(c.Type), "FieldValue")))
		}
	}
	return strings.Join(where, ", ")
}

// isDenied reports whether an admission webhook refuses.
func isDenied(s metav1.Status) bool { return strings.HasPrefix(s.Message, "admission webhook ") }

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

func webhookMessage(message string) bool { return strings.Contains(message, "webhook") }

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
