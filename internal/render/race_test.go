//go:build race

package render

func init() { underRace = true }
