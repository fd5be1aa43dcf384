package trust

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prumo.dev/prumo/internal/core"
)

// Public keys for parser tests; nobody has the private halves.
const (
	keyAna  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPHFPXapF/pq/xF3/IyTdDhO9jKWVf3985hgJ3dNCiEt ana@lab.example"
	keyBen  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJgWzK1ZdQW0TlSmy5w9FVEPHxpqLRKZSYlszbFaZWw2 ben@lab.example"
	dsaKey  = "ssh-dss AAAAB3NzaC1kc3MAAACBAMFf0SfTbRo"
	header  = "apiVersion: prumo.dev/v1alpha1\nkind: TrustPolicy\nversion: 1\n"
	aPeople = "principals:\n  ana: {kind: human, keys: [{ssh: '" + keyAna + "'}]}\n"
	aRules  = "rules:\n  - {name: all, paths: ['**'], signers: [ana]}\n"
)

func TestExamplePolicy(t *testing.T) {
	const file = "../../examples/infra-repo/.prumo/policy.yaml"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p, problems := ParsePolicy(file, data)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if p.Version != 1 || len(p.ring) != 6 {
		t.Errorf("got version %d with %d keys, want version 1 with 6", p.Version, len(p.ring))
	}
}

func TestParsePolicyProblems(t *testing.T) {
	policy := func(people, rest string) string {
		return header + "principals:\n" + people + rest
	}
	for _, tt := range []struct {
		name, data string
		want       string // "line:col: part of the message"
	}{
		{"empty", "", "1:1: the file is empty"},
		{"only a comment", "# nothing\n", "1:1: the file is empty"},
		{"no YAML", "a: [\n", "1: not readable as YAML"},
		{"not a mapping", "- a\n", "1:1: TrustPolicy must be a mapping"},
		{"two documents", header + aPeople + aRules + "---\na: b\n", "more than one YAML document"},
		{"other kind", strings.Replace(header, "TrustPolicy", "TrustAnchor", 1) + aPeople + aRules, `2:7: kind is "TrustAnchor"`},
		{"other version of the format", strings.Replace(header, "v1alpha1", "v2", 1) + aPeople + aRules, `1:13: apiVersion is "prumo.dev/v2"`},
		{"unknown key", header + aPeople + aRules + "extra: 1\n", `8:1: unknown key "extra"`},
		{"unknown key of a rule", header + aPeople + "rules:\n  - {name: a, paths: ['**'], signers: [ana], path: x}\n", `unknown key "path" in rule`},
		{"no rules", header + aPeople, `TrustPolicy needs "rules"`},
		{"no version", strings.Replace(header, "version: 1\n", "", 1) + aPeople + aRules, `TrustPolicy needs "version"`},
		{"version 0", strings.Replace(header, "version: 1", "version: 0", 1) + aPeople + aRules, "3:10: version is 0"},
		{"version in octal", strings.Replace(header, "version: 1", "version: 0o7", 1) + aPeople + aRules, "3:10: version must be a whole number"},
		{"version as text", strings.Replace(header, "version: 1", "version: '1'", 1) + aPeople + aRules, "3:10: version must be a whole number"},
		{"anchor", header + strings.Replace(aPeople, "human", "&h human", 1) + aRules, "5:15: YAML anchors"},
		{"alias", header + "a: &a []\nb: *a\n" + aPeople + aRules, "YAML anchors"},
		{"tag", header + strings.Replace(aPeople, "human", "!!str human", 1) + aRules, "the YAML tag !!str"},
		{"duplicate key", header + "version: 2\n" + aPeople + aRules, `4:1: key "version" is already on line 3`},
		{"deep", header + "groups: " + strings.Repeat("[", 20) + strings.Repeat("]", 20) + "\n" + aPeople + aRules, "nested deeper"},
		{"oversized", header + aPeople + aRules + strings.Repeat("# long\n", maxFile/7), "at most 262144"},
		{"same key twice", policy("  ana: {kind: human, keys: [{ssh: '"+keyAna+"'}, {ssh: '"+keyAna+"'}]}\n", aRules), "listed twice, for ana and ana"},
		{"same key of two", policy("  ana: {kind: human, keys: [{ssh: '"+keyAna+"'}]}\n  ben: {kind: bot, keys: [{ssh: '"+keyAna+"'}]}\n", aRules), "listed twice, for ana and ben"},
		{"no keys", policy("  ana: {kind: human, keys: []}\n", aRules), "principal ana has no key"},
		{"no kind", policy("  ana: {keys: [{ssh: '"+keyAna+"'}]}\n", aRules), `principal ana needs "kind"`},
		{"kind", policy("  ana: {kind: robot, keys: [{ssh: '"+keyAna+"'}]}\n", aRules), `kind of ana is "robot"`},
		{"principal name", policy("  Ana: {kind: human, keys: [{ssh: '"+keyAna+"'}]}\n", ""), `the name "Ana"`},
		{"keyless", policy("  ana: {kind: human, keys: [{keyless: {issuer: a, subject: b}}]}\n", aRules), "5:48: issuer must be the https:// address"},
		{"keyless for everyone", policy("  ana: {kind: human, keys: [{keyless: {issuer: 'https://i.example', subject: '*@lab.example'}}]}\n", aRules), "subject must be the address"},
		{"keyless for anyone", policy("  ana: {kind: human, keys: [{keyless: {issuer: 'https://i.example', subject: ''}}]}\n", aRules), "subject must be the address"},
		{"keyless from anywhere", policy("  ana: {kind: human, keys: [{keyless: {issuer: 'https://*', subject: a}}]}\n", aRules), "issuer must be the https:// address"},
		{"keyless with a pattern", policy("  ana: {kind: human, keys: [{keyless: {issuerRegexp: a, subject: b}}]}\n", aRules), "unknown key \"issuerRegexp\""},
		{"two kinds of key", policy("  ana: {kind: human, keys: [{ssh: a, openpgp: {}}]}\n", aRules), "exactly one of ssh, sshCA, openpgp and keyless"},
		{"authority without principal", policy("  ana: {kind: human, keys: [{sshCA: {key: '"+keyAna+"'}}]}\n", aRules), `5:37: sshCA needs "principal"`},
		{"authority of a pattern", policy("  ana: {kind: human, keys: [{sshCA: {key: '"+keyAna+"', principal: '*@lab.example'}}]}\n", aRules), "principal must be one name"},
		{"authority of a list", policy("  ana: {kind: human, keys: [{sshCA: {key: '"+keyAna+"', principal: 'ana,ben'}}]}\n", aRules), "principal must be one name"},
		{"authority of nobody", policy("  ana: {kind: human, keys: [{sshCA: {key: '"+keyAna+"', principal: ''}}]}\n", aRules), "principal must be one name"},
		{"weak authority", policy("  ana: {kind: human, keys: [{sshCA: {key: '"+rsaKey(t, 2048)+"', principal: ana}}]}\n", aRules), "RSA keys need 3072 bits"},
		{"certificate twice", policy("  ana: {kind: human, keys: [{sshCA: {key: '"+keyAna+"', principal: ana}}]}\n  ben: {kind: human, keys: [{sshCA: {key: '"+keyAna+"', principal: ana}}]}\n", aRules), "listed twice, for ana and ben"},
		{"key with options", policy("  ana: {kind: human, keys: [{ssh: 'cert-authority "+keyAna+"'}]}\n", aRules), "not an SSH public key"},
		{"key of another type", policy("  ana: {kind: human, keys: [{ssh: '"+strings.Replace(keyAna, "ssh-ed25519", "ssh-rsa", 1)+"'}]}\n", aRules), "the line says ssh-rsa"},
		{"key in two lines", policy("  ana: {kind: human, keys: [{ssh: \""+keyAna+"\\n"+keyBen+"\"}]}\n", aRules), "it must be one line"},
		{"weak key", policy("  ana: {kind: human, keys: [{ssh: '"+rsaKey(t, 2048)+"'}]}\n", aRules), "RSA keys need 3072 bits"},
		{"dsa key", policy("  ana: {kind: human, keys: [{ssh: '"+dsaKey+"'}]}\n", aRules), "SSH public key"},
		{"purposes with a pattern", policy("  ana: {kind: human, keys: [{ssh: '"+keyAna+"', namespaces: ['*']}]}\n", aRules), `"*" is no namespace`},
		{"no purpose", policy("  ana: {kind: human, keys: [{ssh: '"+keyAna+"', namespaces: []}]}\n", aRules), "namespaces is empty"},
		{"purposes of no SSH key", policy("  ana: {kind: human, keys: [{keyless: {issuer: 'https://i.example', subject: a}, namespaces: [git]}]}\n", aRules), "only SSH signatures have namespaces"},
		{"validity without zone", policy("  ana: {kind: human, keys: [{ssh: '"+keyAna+"', notAfter: '2027-01-01T00:00:00'}]}\n", aRules), "must be a time with its zone"},
		{"validity reversed", policy("  ana: {kind: human, keys: [{ssh: '"+keyAna+"', notBefore: '2028-01-01T00:00:00Z', notAfter: '2027-01-01T00:00:00Z'}]}\n", aRules), "would never be valid"},
		{"fingerprint only", policy("  ana: {kind: human, keys: [{openpgp: {fingerprint: AB}}]}\n", aRules), `openpgp needs "publicKey"`},
		{"unknown member", header + aPeople + "groups: {team: [zoe]}\n" + aRules, `group team names "zoe"`},
		{"group named as a principal", header + aPeople + "groups: {ana: [ana]}\n" + aRules, `"ana" is a principal and a group`},
		{"unknown signer", header + aPeople + strings.Replace(aRules, "[ana]", "[zoe]", 1), `rule all names "zoe"`},
		{"no signer", header + aPeople + strings.Replace(aRules, "[ana]", "[]", 1), "rule all has no signer"},
		{"threshold", header + aPeople + strings.Replace(aRules, "signers", "threshold: 2, signers", 1), "rule all needs 2, but at most 1"},
		{"threshold without the signer", header + aPeople + strings.Replace(aRules, "signers", "distinct: true, signers", 1), "rule all needs 1, but at most 0"},
		{"threshold of bots", header + strings.Replace(aPeople, "human", "bot", 1) + strings.Replace(aRules, "signers", "humans: true, signers", 1), "rule all needs 1, but at most 0"},
		{"humans as text", header + aPeople + strings.Replace(aRules, "signers", "humans: 'true', signers", 1), "humans must be true or false"},
		{"distinct as yes", header + aPeople + strings.Replace(aRules, "signers", "distinct: yes, signers", 1), "distinct must be true or false"},
		{"threshold 0", header + aPeople + strings.Replace(aRules, "signers", "threshold: 0, signers", 1), "threshold is 0"},
		{"op", header + aPeople + strings.Replace(aRules, "signers", "ops: [rename], signers", 1), `has the op "rename"`},
		{"no op", header + aPeople + strings.Replace(aRules, "signers", "ops: [], signers", 1), "ops of all is empty"},
		{"no path", header + aPeople + strings.Replace(aRules, "['**']", "[]", 1), "paths of all is empty"},
		{"class in a pattern", header + aPeople + strings.Replace(aRules, "['**']", "['[a-z]/**']", 1), "only *, ? and ** have a meaning"},
		{"pattern for .prumo", header + aPeople + strings.Replace(aRules, "['**']", "['.Prumo/**']", 1), "only root principals"},
		{"rule named root", header + aPeople + strings.Replace(aRules, "name: all", "name: root", 1), "root, introduction and merge are taken"},
		{"rule named merge", header + aPeople + strings.Replace(aRules, "name: all", "name: merge", 1), "merge are taken"},
		{"merge without signers", header + aPeople + aRules + "merge: {}\n", `merge needs "signers"`},
		{"merge by strangers", header + aPeople + aRules + "merge: {signers: [zoe]}\n", `merge names "zoe"`},
		{"two rules of one name", header + aPeople + aRules + "  - {name: all, paths: [a], signers: [ana]}\n", `rule name "all"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, problems := ParsePolicy("p.yaml", []byte(tt.data))
			if p != nil || len(problems) == 0 {
				t.Fatalf("got policy %+v, problems %v; want a problem with %q", p, problems, tt.want)
			}
			var all []string
			for _, pr := range problems {
				all = append(all, pr.String())
				if pr.Stage != core.StageVerify || pr.Pos.File != "p.yaml" {
					t.Errorf("problem %+v lacks stage or file", pr)
				}
			}
			if got := strings.Join(all, "\n"); !strings.Contains(got, tt.want) {
				t.Errorf("got:\n%s\nwant a line with %q", got, tt.want)
			}
		})
	}
}

func TestParsePolicyTellsAllAtOnce(t *testing.T) {
	_, problems := ParsePolicy("p.yaml", []byte(header+"extra: 1\n"+strings.Replace(aPeople, "human", "robot", 1)+
		strings.Replace(aRules, "[ana]", "[zoe]", 1)))
	var got []string
	for _, p := range problems {
		got = append(got, p.Pos.String())
	}
	if diff := cmp.Diff([]string{"p.yaml:4:1", "p.yaml:6:15", "p.yaml:8:41", "p.yaml:8:42"}, got); diff != "" {
		t.Errorf("places of problems (-want +got):\n%s", diff)
	}
}

func TestParseAnchor(t *testing.T) {
	anchor := func(replace ...string) string {
		return strings.NewReplacer(replace...).Replace(`apiVersion: prumo.dev/v1alpha1
kind: TrustAnchor
introduction: 0123456789abcdef0123456789abcdef01234567
root:
  threshold: 1
  principals:
    ana: {keys: [{ssh: "` + keyAna + `"}]}
revoked:
  ssh: ["SHA256:J0D0Qn5g9T2TjR6yIYbS3mGJxYqPaXvGkSVfnUuXJ2s"]
  openpgp: ["0123 4567 89ab cdef 0123 4567 89ab cdef 0123 4567"]
limits: {commits: 7}
`)
	}
	a, problems := ParseAnchor("trust.yaml", []byte(anchor()))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	got := fmt.Sprint(a.Introduction, a.roots, len(a.ring), a.Commits, a.revoked)
	want := "0123456789abcdef0123456789abcdef01234567 [ana] 1 7 map[0123456789ABCDEF0123456789ABCDEF01234567:true SHA256:J0D0Qn5g9T2TjR6yIYbS3mGJxYqPaXvGkSVfnUuXJ2s:true]"
	if diff := cmp.Diff(strings.Replace(want, "67 [", "67[", 1), strings.Replace(got, "67 [", "67[", 1)); diff != "" {
		t.Errorf("anchor (-want +got):\n%s", diff)
	}
	for _, tt := range []struct{ name, data, want string }{
		{"short introduction", anchor("89abcdef01234567\n", "\n"), "3:15: introduction must be the full id"},
		{"unknown key", anchor("limits:", "limit:"), `unknown key "limit"`},
		{"no root", "apiVersion: prumo.dev/v1alpha1\nkind: TrustAnchor\nintroduction: 0123456789abcdef0123456789abcdef01234567\n", `needs "root"`},
		{"root without principals", anchor("    ana: {keys: [{ssh: \""+keyAna+"\"}]}\n", "", "  principals:", "  principals: {}"), "root needs a principal"},
		{"threshold of more than there are", anchor("root:\n  threshold: 1", "repo: {id: x, ref: refs/heads/main}\nroot:\n  threshold: 2"), "root has 1 principals"},
		{"two principals of one key", anchor("    ana: {keys: [{ssh: \""+keyAna+"\"}]}\n", "    ana: {keys: [{ssh: \""+keyAna+"\"}]}\n    ben: {keys: [{ssh: \""+keyAna+"\"}]}\n"), "listed twice, for ana and ben"},
		{"threshold without a repo", anchor("threshold: 1", "threshold: 2"), "add repo: {id: …"},
		{"repo without a ref", anchor("root:", "repo: {id: x}\nroot:"), `repo needs "ref"`},
		{"repo of two words", anchor("root:", "repo: {id: 'x y', ref: refs/heads/main}\nroot:"), "must be one plain word"},
		{"ref that is short", anchor("root:", "repo: {id: x, ref: main}\nroot:"), "the full name of a branch"},
		{"ssh fingerprint", anchor("SHA256:J0", "MD5:J0"), "is no fingerprint"},
		{"certificate without authority", anchor("  ssh: [", "  sshCertSerials: ["), "a slash, and the serial"},
		{"openpgp key id", anchor("0123 4567 89ab cdef 0123 4567 ", ""), "is no fingerprint"},
		{"payload", anchor("  ssh: [", "  payloads: [abc]\n  ssh: ["), "64 lower-case hexadecimal digits"},
		{"unknown limit", anchor("commits: 7", "commit: 7"), `unknown key "commit"`},
		{"keys with a kind", anchor("ana: {", "ana: {kind: human, "), `unknown key "kind"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, problems := ParseAnchor("trust.yaml", []byte(tt.data))
			if a != nil || !strings.Contains(fmt.Sprint(problems), tt.want) {
				t.Errorf("got %+v, %v; want a problem with %q", a, problems, tt.want)
			}
		})
	}
}
