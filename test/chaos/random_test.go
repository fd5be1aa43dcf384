package chaos

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

var (
	seedFlag  = flag.Uint64("seed", 1, "of the random runs; 0: another each time")
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

// run lets steps happen to a new world. It returns what went wrong, or nothing.
func run(t testing.TB, steps []step) (failure string) {
	tr := &trial{TB: t}
	defer func() {
		if r := recover(); r != nil && r != any(tr) {
			panic(r)
		}
		failure = tr.failure
		for _, f := range slices.Backward(tr.cleanups) {
			f()
		}
	}()
	m := newModel(tr)
	m.seed = uint64(steps[0].N)
	for i, s := range steps {
		tr.at = fmt.Sprintf("step %d, %s %s %d", i+1, s.Do, m.slots[s.Slot].name, s.N)
		if s.Do == "check" {
			m.check(tr, s.N)
			continue
		}
		for _, d := range deeds {
			if d.name == s.Do {
				d.do(m, tr, m.slots[s.Slot], s.N)
			}
		}
	}
	return ""
}

// A trial is a test that may fail without anybody hearing of it.
type trial struct {
	testing.TB
	at       string
	failure  string
	cleanups []func()
}

func (t *trial) Fatalf(format string, args ...any) {
	t.failure = t.at + ": " + fmt.Sprintf(format, args...)
	panic(t)
}
func (t *trial) Fatal(args ...any)                 { t.Fatalf("%s", fmt.Sprint(args...)) }
func (t *trial) Errorf(format string, args ...any) { t.Fatalf(format, args...) }
func (t *trial) Error(args ...any)                 { t.Fatal(args...) }
func (t *trial) Cleanup(f func())                  { t.cleanups = append(t.cleanups, f) }
