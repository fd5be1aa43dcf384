package render

import "testing"

func TestNearest(t *testing.T) {
	names := []string{"count", "cost", "driver", "model", "timeSlicing"}
	for got, want := range map[string]string{
		"count":       "count",
		"Count":       "count",
		"cuont":       "count", // two letters changed places
		"coutn":       "count",
		"cont":        "count",
		"counts":      "count",
		"modle":       "model",
		"timeslcing":  "timeSlicing",
		"tmieSlicign": "timeSlicing",
		"dirvre":      "driver",
		"tnuoc":       "",
		"x":           "",
		"":            "",
	} {
		if best := nearest(got, names); best != want {
			t.Errorf("nearest to %q is %q, want %q", got, best, want)
		}
	}
}
