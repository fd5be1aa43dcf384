package diff

import (
	"math"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"prumo.dev/prumo/internal/core"
	"prumo.dev/prumo/internal/objpath"
)

// sensitivity says which fields of an object may hold secrets. It goes by the schema
// where there is one, and in doubt it hides:
//
//   - the data of a Secret, always;
//   - what is free text to the API server: environment values, commands, arguments,
//     headers, the data of ConfigMaps, and the texts of custom resources, whose schema
//     says nothing of secrets;
//   - any other field or value that looks like a secret, by its name or by itself.
//
// A kind can say that fields of its objects hold no secret (plain in #Kind). They are
// shown then, unless they look like one.
type sensitivity struct {
	kind  core.ObjectID // of which group and kind count
	plain []objpath.Path
}

func sensitivityOf(o core.Object) sensitivity { return sensitivity{o.ID, o.Plain} }

// hides reports whether the values of a leaf are secret.
func (s sensitivity) hides(l leaf) bool {
	if l.hidden || len(l.path) == 0 {
		return l.hidden
	}
	last := l.path[len(l.path)-1]
	switch {
	case looksSecret(l.from) || looksSecret(l.to):
		return true
	case isSecretName(last.field) && (isPlainValue(l.from) || isPlainValue(l.to)):
		return true
	case inEnv(l.path):
		return isSecretVariable(l.path) || !s.isPlain(l.path)
	}
	return s.isFree(l) && !s.isPlain(l.path)
}

// isPlain reports whether the kind says that a field holds no secret.
func (s sensitivity) isPlain(path []segment) bool {
	return slices.ContainsFunc(s.plain, func(p objpath.Path) bool { return covered(path, p) })
}

// freeFields are fields of the core API whose values are free text, wherever they are:
// they belong to containers, probes and hooks, of custom resources too.
// Those of storage drivers are for the driver to read.
var freeFields = map[string]bool{"command": true, "args": true, "httpHeaders": true,
	"parameters": true, "volumeAttributes": true, "options": true, "mountOptions": true}

// isFree reports whether a field is free text to the API server.
func (s sensitivity) isFree(l leaf) bool {
	path := l.path
	if slices.ContainsFunc(path, func(g segment) bool { return freeFields[g.field] }) {
		return true
	}
	switch first := path[0].field; {
	case s.kind.Group == "" && s.kind.Kind == "ConfigMap":
		return first == "data" || first == "binaryData"
	case first == "metadata" || s.isCore():
		return false
	}
	return isFreeText(path, l.from) || isFreeText(path, l.to)
}

// isFreeText reports whether a value of a custom resource is a text of which nobody
// knows what it is.
func isFreeText(path []segment, v any) bool {
	text, ok := v.(string)
	if !ok || inContainer(path) {
		return false
	}
	if isQuantity(path) {
		_, err := resource.ParseQuantity(text)
		return err != nil
	}
	return true
}

// isCore reports whether an object is of an API that Kubernetes itself serves, whose
// fields are known. Groups of CustomResourceDefinitions under k8s.io need an approval,
// and are the projects' own.
func (s sensitivity) isCore() bool { return coreGroups[s.kind.Group] }

// coreGroups are the groups that kube-apiserver 1.37 serves.
var coreGroups = map[string]bool{
	"": true, "admissionregistration.k8s.io": true, "apiextensions.k8s.io": true, "apiregistration.k8s.io": true, "apps": true,
	"autoscaling": true, "batch": true, "certificates.k8s.io": true, "coordination.k8s.io": true, "discovery.k8s.io": true,
	"events.k8s.io": true, "flowcontrol.apiserver.k8s.io": true, "networking.k8s.io": true, "node.k8s.io": true, "policy": true,
	"rbac.authorization.k8s.io": true, "resource.k8s.io": true, "scheduling.k8s.io": true, "storage.k8s.io": true,
}

// inContainer reports whether a field belongs to a container: custom resources embed
// them, and they are known there too.
func inContainer(path []segment) bool {
	for i, g := range path[:len(path)-1] {
		if (g.field == "containers" || g.field == "initContainers" || g.field == "ephemeralContainers") && path[i+1].isItem() {
			return true
		}
	}
	return false
}

// inEnv reports whether path is the literal value of a container's variable, or the
// whole variable. A reference to a value is none.
func inEnv(path []segment) bool {
	i := variableAt(path)
	return i > 0 && (len(path) == i+1 || path[i+1].field == "value")
}

// variableAt is where in a path a variable of a container is; 0 if nowhere.
func variableAt(path []segment) int {
	for i := 1; i < len(path); i++ {
		if path[i-1].field == "env" && path[i].isItem() {
			return i
		}
	}
	return 0
}

// isSecretVariable reports whether a variable is called like a secret.
func isSecretVariable(path []segment) bool {
	item := path[variableAt(path)]
	return secretName.MatchString(variable(item.live)) || secretName.MatchString(variable(item.want))
}

func variable(item any) string {
	m, _ := item.(map[string]any)
	name, _ := m["name"].(string)
	return name
}

var (
	// secretName is what variables, files and fields that hold secrets are called.
	secretName = regexp.MustCompile(`(?i)pass(word|wd|phrase|code)|passw|(^|[^a-z])(pwd|pass|psk|pin|dsn|sas)([^a-z]|$)|` +
		`secret|token|credential|private[-_.]?key|(api|access|auth|account|client|master|encryption|signing|shared|session)[-_.]?key|` +
		`(^|[^a-z])key([^a-z]|$)|connection[-_.]?string|user[-_.]?data|webhook[-_.]?url|cookie|bearer`)

	// references are names of fields that look like secrets and refer to one, or say
	// something about one.
	references = regexp.MustCompile(`(Name|Names|Ref|Refs|KeyRef|Namespace|TTL|Seconds|Path|Policy|Mode|Type|Enabled|Count|Version)$|^automount|^(secret|key)$|^imagePullSecrets$`)
)

// isSecretName reports whether a field is called like a secret.
func isSecretName(name string) bool {
	return secretName.MatchString(name) && !references.MatchString(name)
}

// isPlainValue reports whether a value may be a secret at all: a text or a number.
func isPlainValue(v any) bool {
	switch v.(type) {
	case string, int, int64, float64:
		return true
	}
	return false
}

var (
	privateKey = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY`)

	// assigned is a secret in the middle of a text: --api-key=x, password: x, Password=x.
	assigned = regexp.MustCompile(`(?i)(pass(word|wd|phrase)?|pwd?|secret|token|credentials?|[?&](key|sig|signature)|api[-_]?key|access[-_]?key|auth[-_]?key|private[-_]?key|psk)["']?\s*[=:]\s*["']?[^\s"'$({<]|authorization["':\s]+(basic|bearer)\s`)

	// knownTokens are the forms of tokens that say what they are: of clouds, forges,
	// chats and JSON Web Tokens.
	knownTokens = regexp.MustCompile(`\b(AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[opsur]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{16,}|` +
		`\bxox[abprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/|\bhf_[A-Za-z0-9]{20,}|\bsk-[A-Za-z0-9_-]{20,}|\beyJ[A-Za-z0-9_-]{10,}\.eyJ`)
)

// looksSecret reports whether a value is a secret by itself.
func looksSecret(v any) bool {
	s, ok := v.(string)
	return ok && (privateKey.MatchString(s) || assigned.MatchString(s) || knownTokens.MatchString(s) || isRandom(s))
}

const (
	// minRandom is the least length of what counts as random, in bytes.
	minRandom = 20

	// randomBits is the entropy from which on a text counts as random, in bits a
	// character. English words have about 3.5 to 4; base64 of random bytes more than 4.2
	// from this length on.
	randomBits = 4.2
)

// isRandom reports whether a text looks like a random token: one long word with
// letters of both cases and digits, and much entropy. Digests and UUIDs are written in
// fewer letters, and are shown.
func isRandom(s string) bool {
	if len(s) < minRandom || len(s) > 512 || strings.ContainsFunc(s, func(r rune) bool {
		return r > '~' || r <= ' ' || strings.ContainsRune("/:.@,;(){}[]<>", r)
	}) {
		return false
	}
	var upper, lower, digit bool
	counts := map[rune]int{}
	for _, r := range s {
		upper, lower, digit = upper || r >= 'A' && r <= 'Z', lower || r >= 'a' && r <= 'z', digit || r >= '0' && r <= '9'
		counts[r]++
	}
	bits := 0.0
	for _, n := range counts {
		p := float64(n) / float64(len(s))
		bits -= p * math.Log2(p)
	}
	// A short text cannot reach the entropy of a long one.
	return upper && lower && digit && bits >= min(randomBits, math.Log2(float64(len(s)))-0.5)
}
