package objpath

// Get returns what an object has at p.
func (p Path) Get(object map[string]any) (any, bool) {
	var v any = object
	for _, s := range p {
		var ok bool
		if v, ok = s.get(v); !ok {
			return nil, false
		}
	}
	return v, true
}

func (s Step) get(v any) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		x, ok := v[s.Field]
		return x, ok && s.Field != ""
	case []any:
		if i := s.find(v); i >= 0 {
			return v[i], true
		}
	}
	return nil, false
}

// Set writes what an object has at p. Maps on the way are made; an item of a list
// that p leads through is not, since there is nothing then that has the field.
func (p Path) Set(object map[string]any, value any) {
	set(object, p, value)
}

// set returns v with value at p.
func set(v any, p Path, value any) any {
	if len(p) == 0 {
		return value
	}
	s := p[0]
	if s.Field != "" {
		m, ok := v.(map[string]any)
		if v == nil {
			m, ok = map[string]any{}, true
		}
		if !ok {
			return v
		}
		below := set(m[s.Field], p[1:], value)
		if below == nil {
			return v
		}
		m[s.Field] = below
		return m
	}
	list, ok := v.([]any)
	switch i := s.find(list); {
	case v != nil && !ok:
	case i >= 0:
		list[i] = set(list[i], p[1:], value)
	case len(p) == 1:
		return append(list, value)
	}
	return v
}

// Remove takes what is at p out of an object. What is around it stays, if empty.
func (p Path) Remove(object map[string]any) {
	remove(object, p)
}

// remove returns v without what is at p.
func remove(v any, p Path) any {
	switch s := p[0]; v := v.(type) {
	case map[string]any:
		below, ok := v[s.Field]
		switch {
		case !ok || s.Field == "":
		case len(p) == 1:
			delete(v, s.Field)
		default:
			v[s.Field] = remove(below, p[1:])
		}
	case []any:
		switch i := s.find(v); {
		case i < 0:
		case len(p) == 1:
			return append(v[:i:i], v[i+1:]...)
		default:
			v[i] = remove(v[i], p[1:])
		}
	}
	return v
}
