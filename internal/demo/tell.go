package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// heading begins a chapter.
func (s *story) heading(title string) {
	fmt.Fprintf(s.Out, "\n%s\n", s.paint("1", fmt.Sprintf("%d. %s", s.chapter, title)))
}

// say writes a line of the narrator.
func (s *story) say(format string, args ...any) {
	fmt.Fprintf(s.Out, "   "+format+"\n", args...)
}

func (s *story) paint(color, text string) string {
	if !s.Color {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// run types a command and shows at most lines of what it prints, the last ones if
// lines is negative. It is an error
// if the exit code is not the wanted one: a story must not go on past a lie.
func (s *story) run(ctx context.Context, code, lines int, args ...string) error {
	fmt.Fprintf(s.Out, "   %s\n", s.paint("36", "$ reconciler "+s.brief(strings.Join(args, " "))))
	start := time.Now()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, s.exe, args...)
	cmd.Args[0] = os.Args[0] // a program that is several by its name stays the one it is
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return err
	}
	s.quote(out.String(), lines)
	got := cmd.ProcessState.ExitCode()
	fmt.Fprintf(s.Out, "   %s\n", s.paint("2", fmt.Sprintf("(exit code %d, %.1fs)", got, time.Since(start).Seconds())))
	if got != code {
		return fmt.Errorf("reconciler %s: exit code %d, want %d", args[0], got, code)
	}
	return nil
}

// quote shows the first lines of a text, or the last ones if lines is negative.
func (s *story) quote(text string, lines int) {
	all := strings.Split(strings.TrimRight(s.brief(text), "\n"), "\n")
	shown := all[:min(len(all), max(lines, 0))]
	if lines < 0 {
		shown = all[max(0, len(all)+lines):]
	}
	left := s.paint("2", fmt.Sprintf("… %d more lines", len(all)-len(shown)))
	if lines < 0 && len(shown) < len(all) {
		s.say("  %s", left)
	}
	for _, line := range shown {
		fmt.Fprintln(s.Out, strings.TrimRight("     "+line, " "))
	}
	if lines > 0 && len(shown) < len(all) {
		s.say("  %s", left)
	}
}

// brief leaves out the temporary folder's name.
func (s *story) brief(text string) string { return strings.ReplaceAll(text, s.dir+"/", "") }
