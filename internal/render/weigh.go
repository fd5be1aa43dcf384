package render

// maxObjectBytes bounds one object, as JSON without spaces. etcd takes no request of
// more than 1.5 MiB, and the API server adds to what we send.
const maxObjectBytes = 1_500_000

// weigh returns how many bytes a value has as JSON at least, or a number above limit
// if that are more.
func weigh(v any, limit int) int {
	n := 0
	switch v := v.(type) {
	case string:
		return len(v) + len(`""`)
	case map[string]any:
		for key, value := range v {
			if n += len(key) + len(`"":,`) + weigh(value, limit-n); n > limit {
				return n
			}
		}
	case []any:
		for _, value := range v {
			if n += len(`,`) + weigh(value, limit-n); n > limit {
				return n
			}
		}
	}
	return n + 1
}
