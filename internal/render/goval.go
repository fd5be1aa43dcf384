package render

import (
	"fmt"
	"strconv"

	"cuelang.org/go/cue"
)

// toGo returns a concrete value in JSON's shape: map, slice, string, bool, int64,
// float64, nil. What JSON or Kubernetes cannot hold is refused rather than bent.
func toGo(v cue.Value) (any, error) { return convertGo(v, nil) }

func convertGo(v cue.Value, path []string) (any, error) {
	if len(path) > maxDepth {
		return nil, fmt.Errorf("nests deeper than %d levels", maxDepth)
	}
	kind := v.Kind()
	if kind == cue.BottomKind {
		if d, ok := v.Default(); ok {
			v, kind = d, d.Kind()
		}
	}
	fail := func(err error) (any, error) {
		if len(path) == 0 {
			return nil, err
		}
		return nil, fmt.Errorf("%s: %w", shown(path), err)
	}
	switch kind {
	case cue.NullKind:
		return nil, nil
	case cue.BoolKind:
		return v.Bool()
	case cue.StringKind:
		return v.String()
	case cue.IntKind:
		n, err := v.Int64()
		if err != nil {
			return fail(fmt.Errorf("%v does not fit in 64 bits", v))
		}
		return n, nil
	case cue.FloatKind, cue.NumberKind:
		f, err := v.Float64()
		if err != nil {
			return fail(fmt.Errorf("%v does not fit in a 64-bit float", v))
		}
		return f, nil
	case cue.ListKind:
		return goList(v, path)
	case cue.StructKind:
		return goMap(v, path)
	case cue.BytesKind:
		return fail(fmt.Errorf("bytes are not JSON; want a string, such as base64.Encode(null, …)"))
	}
	if err := v.Err(); err != nil {
		return fail(fmt.Errorf("%s", brieflyWhy(err)))
	}
	if !v.Exists() {
		return fail(fmt.Errorf("missing"))
	}
	return fail(fmt.Errorf("%s is not a value but a constraint", brief(v)))
}

func goList(v cue.Value, path []string) (any, error) {
	it, err := v.List()
	if err != nil {
		return nil, fmt.Errorf("%s", brieflyWhy(err))
	}
	out := []any{}
	for it.Next() {
		e, err := convertGo(it.Value(), append(path[:len(path):len(path)], strconv.Itoa(len(out))))
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func goMap(v cue.Value, path []string) (any, error) {
	it, err := v.Fields()
	if err != nil {
		return nil, fmt.Errorf("%s", brieflyWhy(err))
	}
	out := map[string]any{}
	for it.Next() {
		name := it.Selector().Unquoted()
		e, err := convertGo(it.Value(), append(path[:len(path):len(path)], name))
		if err != nil {
			return nil, err
		}
		out[name] = e
	}
	return out, nil
}
