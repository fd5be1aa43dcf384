package cluster

import "time"

// WaitFor has passes wait so long for an answer about one object.
func (w *Watched) WaitFor(limit time.Duration) { w.limit = limit }
