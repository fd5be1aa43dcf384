package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"prumo.dev/prumo/internal/core"
)

// maxStore is in MiB: 1 TiB.
const maxStore = 1 << 20

// maxHistory bounds drift.history.
const maxHistory = 1000

// maxSocket bounds the path of a Unix socket, in bytes; Linux's sun_path.
const maxSocket = 107

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)

func decode(file string, data []byte, c *Config) []core.Problem {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	err := dec.Decode(c)
	if err == nil {
		err = dec.Decode(new(yaml.Node))
		if err == nil {
			return []core.Problem{problem(file, 0, "more than one document, want one")}
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	msgs, say := []string{err.Error()}, badSyntax
	if te := (*yaml.TypeError)(nil); errors.As(err, &te) {
		msgs, say = te.Errors, plain
	}
	var problems []core.Problem
	for _, msg := range msgs {
		line := 0
		if m := yamlLine.FindStringSubmatch(msg); m != nil {
			line, _ = strconv.Atoi(m[1])
			msg = m[2]
		}
		problems = append(problems, problem(file, line, say(msg)))
	}
	return problems
}

var (
	unknownField = regexp.MustCompile(`^field (\S+) not found in type config\.(\S+)$`)
	wrongType    = regexp.MustCompile("^cannot unmarshal !!(\\w+)(?: `(.*)`)? into (\\S+)$")
)

// plain says a message of the YAML library in the file's words.
func plain(msg string) string {
	if m := unknownField.FindStringSubmatch(msg); m != nil {
		return fmt.Sprintf("unknown key %q; `reconciler run --help` shows an example of all keys", m[1])
	}
	if m := wrongType.FindStringSubmatch(msg); m != nil {
		found := strconv.Quote(m[2])
		if m[2] == "" {
			found = map[string]string{"map": "a map", "seq": "a list"}[m[1]]
		}
		return fmt.Sprintf("%s does not fit, want %s", found, wanted(m[3]))
	}
	return msg
}

// wanted says in the file's words what a Go type is.
func wanted(goType string) string {
	switch {
	case goType == "int", goType == "float64":
		return "a number"
	case goType == "bool":
		return "true or false"
	case goType == "string":
		return "a text"
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	}
	return "keys and values; `reconciler run --help` shows them"
}

// badSyntax says a message of the YAML library about what is no YAML at all.
func badSyntax(msg string) string {
	msg = "not valid YAML: " + strings.TrimPrefix(msg, "yaml: ")
	if strings.Contains(msg, "cannot start any token") {
		msg += "; YAML is indented with spaces, never with tabs"
	}
	return msg
}

func problem(file string, line int, msg string) core.Problem {
	return core.Problem{Pos: core.Pos{File: file, Line: line}, Stage: core.StageFetch, Msg: msg}
}

var (
	dnsLabel     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	registryHost = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$`)
	repoName     = regexp.MustCompile(`^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$`)
)

// check returns what is missing or makes no sense.
func (c *Config) check(file string, data []byte) []core.Problem {
	var problems []core.Problem
	want := func(ok bool, path, msg string) {
		if !ok {
			problems = append(problems, problem(file, lineOf(data, path), path+": "+msg))
		}
	}
	oneOf := func(path, value string, allowed ...string) {
		for _, a := range allowed {
			if value == a {
				return
			}
		}
		want(false, path, fmt.Sprintf("%q, want %s", value, strings.Join(allowed, " or ")))
	}
	_, _, err := net.SplitHostPort(c.Listen)
	want(err == nil, "listen", fmt.Sprintf("%q, want an address with a port such as 127.0.0.1:8080", c.Listen))
	oneOf("apiVersion", c.APIVersion, core.APIVersion)
	oneOf("kind", c.Kind, Kind)
	want(dnsLabel.MatchString(c.Instance), "instance", fmt.Sprintf("%q, want a DNS label such as lab", c.Instance))
	want(c.Repo.URL != "", "repo.url", "missing, want the URL of the infra repo")
	want(strings.HasPrefix(c.Repo.Ref, "refs/heads/"), "repo.ref", fmt.Sprintf("%q, want a full branch name such as refs/heads/main", c.Repo.Ref))
	want(c.Repo.StoreMiB >= 0 && c.Repo.StoreMiB <= maxStore, "repo.storeMiB", fmt.Sprintf("%d, want 1 to %d, or none for 768", c.Repo.StoreMiB, maxStore))
	want(c.TrustFile != "", "trustFile", "missing, want the file that says who is obeyed")
	want(c.StateDir != "", "stateDir", "missing, want a folder that survives a restart")
	want(c.StateNamespace == "" || dnsLabel.MatchString(c.StateNamespace), "stateNamespace", fmt.Sprintf("%q, want a namespace such as prumo-system", c.StateNamespace))
	want(c.Drift.History >= 1 && c.Drift.History <= maxHistory, "drift.history", fmt.Sprintf("%d, want 1 to %d", c.Drift.History, maxHistory))
	want(c.Deletion.Max >= 0, "deletion.max", fmt.Sprintf("%d, want a number of objects, or 0 for none", c.Deletion.Max))
	want(c.Deletion.Share >= 0 && c.Deletion.Share <= 1, "deletion.share", fmt.Sprintf("%v, want a share between 0 and 1", c.Deletion.Share))
	oneOf("log.format", c.Log.Format, "text", "json")
	oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	for key, name := range map[string]string{"report.json": c.Report.JSON, "report.markdown": c.Report.Markdown} {
		want(name == "" || !lies(name, c.StateDir), key, "lies in stateDir, which must have room for what the daemon has to remember: want a file on another volume")
	}
	if c.Forge != nil {
		oneOf("forge.type", c.Forge.Type, "github")
		want(c.Forge.URL != "", "forge.url", "missing, want the API's URL such as https://git.example/api/v1")
		want(repoName.MatchString(c.Forge.Repo), "forge.repo", fmt.Sprintf("%q, want owner/name", c.Forge.Repo))
		want(c.Forge.TokenFile != "", "forge.tokenFile", "missing, want a file with the token")
	}
	want(len(c.Evaluator.Socket) <= maxSocket, "evaluator.socket", fmt.Sprintf("%d bytes, want a path of at most %d: no socket has a longer one", len(c.Evaluator.Socket), maxSocket))
	for _, wall := range c.Evaluator.Require {
		oneOf("evaluator.require", wall, "landlock", "seccomp")
	}
	hosts := make(map[string]bool)
	for i, r := range c.Images.Registries {
		path := fmt.Sprintf("images.registries[%d]", i)
		want(registryHost.MatchString(r.Host), path+".host", fmt.Sprintf("%q, want a host such as registry.lab.example, with its port if it has one", r.Host))
		want(!hosts[r.Host], path+".host", fmt.Sprintf("%s is written twice", r.Host))
		want(r.DockerConfigFile == "" || r.Username == "" && r.PasswordFile == "", path, "both dockerConfigFile and username or passwordFile, want one of them")
		want((r.Username == "") == (r.PasswordFile == ""), path, "username and passwordFile go together")
		hosts[r.Host] = true
	}
	return problems
}

// lies reports whether a file is in a folder or below. Both are as written: relative to
// the same folder, or absolute.
func lies(file, folder string) bool {
	rel, err := filepath.Rel(folder, file)
	return err == nil && folder != "" && filepath.IsLocal(rel)
}

// lineOf returns the line of a dotted path, or of the nearest parent that is
// there; 1 if none is.
func lineOf(data []byte, path string) int {
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) != nil || len(doc.Content) == 0 {
		return 1
	}
	node, line := doc.Content[0], 1
	for key := range strings.SplitSeq(path, ".") {
		i := 0
		for ; i+1 < len(node.Content) && node.Content[i].Value != key; i += 2 {
		}
		if i+1 >= len(node.Content) {
			break
		}
		line, node = node.Content[i].Line, node.Content[i+1]
	}
	return line
}
