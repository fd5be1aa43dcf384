package deploy

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// at returns the node at a path of keys and indexes, or an empty node.
func at(n *yaml.Node, path ...string) *yaml.Node {
	if n.Kind == yaml.DocumentNode {
		return at(n.Content[0], path...)
	}
	if len(path) == 0 {
		return n
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == path[0] {
				return at(n.Content[i+1], path[1:]...)
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(path[0]); err == nil && i < len(n.Content) {
			return at(n.Content[i], path[1:]...)
		}
	}
	return &yaml.Node{}
}

// set replaces the text at a path, if there is another.
func set(doc *yaml.Node, value string, path ...string) error {
	n := at(doc, path...)
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("the manifests have no %s", strings.Join(path, "."))
	}
	if value != "" {
		n.SetString(value)
	}
	return nil
}

// rename replaces a name in all texts, also where it is part of another name.
func rename(n *yaml.Node, from, to string) {
	if n.Kind == yaml.ScalarNode {
		n.Value = strings.ReplaceAll(n.Value, from, to)
	}
	n.HeadComment = strings.ReplaceAll(n.HeadComment, from, to)
	n.LineComment = strings.ReplaceAll(n.LineComment, from, to)
	n.FootComment = strings.ReplaceAll(n.FootComment, from, to)
	for _, c := range n.Content {
		rename(c, from, to)
	}
}

func encode(docs ...*yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	for _, doc := range docs {
		if err := enc.Encode(doc); err != nil {
			return nil, err
		}
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
