package images

import (
	"maps"
	"sync"
)

// known is what became of a digest under a rule. Neither changes, so that what
// passed is not asked for again; what did not, and what no registry answered, is
// asked for once a pass.
type known struct {
	mu       sync.Mutex
	verdicts map[string]verdict
}

func (k *known) get(key string) (verdict, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.verdicts[key]
	return v, ok
}

func (k *known) put(key string, v verdict) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.verdicts == nil || len(k.verdicts) >= 4*maxImages {
		k.verdicts = map[string]verdict{}
	}
	k.verdicts[key] = v
}

// begin forgets the refusals of the last pass.
func (k *known) begin() {
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.verdicts, func(_ string, v verdict) bool { return v.refusal != nil })
}
