package report

import (
	"encoding/json"
	"fmt"
	"io"
)

// JSON writes a value of package core as indented JSON. Field order is that of
// the type, hence stable; manifests and live objects are no part of it.
func JSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}
