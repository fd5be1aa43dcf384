package chaos

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "of the random runs; 0: another each time")
	stepsFlag = flag.Int("steps", 240, "how many random steps to take")
	shrinkFor = flag.Duration("shrink", time.Minute, "how long to look for a shorter run that fails, too")
	replay    = flag.String("replay", "", "steps that a failed run has printed")
)

const stepsPerRun = 120 // in one world

// TestRandom lets random things happen, and proves after every few dozen steps that
// all settles once faults stop. A failure is told as the shortest run that was found
// to fail: give it to -replay.
func TestRandom(t *testing.T) {
	if *replay != "" {
		var steps []step
		if err := json.Unmarshal([]byte(*replay), &steps); err != nil {
			t.Fatal(err)
		}
		if failure := run(t, steps); failure != "" {
			t.Error(failure)
		}
		return
	}
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64N(1 << 32)
	}
	t.Logf("%d steps, -seed=%d", *stepsFlag, seed)
	var first sync.Once
	for n := 0; n*stepsPerRun < *stepsFlag; n++ {
		steps := invent(seed+uint64(n), min(stepsPerRun, *stepsFlag-n*stepsPerRun))
		t.Run(fmt.Sprint(seed+uint64(n)), func(t *testing.T) {
			t.Parallel()
			if failure := run(t, steps); failure != "" {
				t.Errorf("-seed=%d: %s", seed+uint64(n), failure)
				first.Do(func() {
					short, why := shrink(t, steps, failure)
					text, _ := json.Marshal(short) // of strings and numbers
					t.Errorf("shortest run that fails, of %d steps: %s\n-replay='%s'", len(short), why, text)
				})
			}
		})
	}
}

// shrink leaves out steps as long as the run still fails.
func shrink(t *testing.T, steps []step, failure string) ([]step, string) {
	end := time.Now().Add(*shrinkFor)
	for size := len(steps) / 2; size > 0; size /= 2 {
		for i := 0; i+size <= len(steps) && time.Now().Before(end); {
			shorter := append(append([]step{}, steps[:i]...), steps[i+size:]...)
			if len(shorter) == 0 || shorter[len(shorter)-1].Do != "check" {
				i += size
				continue
			}
			if why := run(t, shorter); why != "" {
				steps, failure = shorter, why
			} else {
				i += size
			}
		}
	}
	return steps, failure
}
