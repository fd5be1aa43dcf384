package main

import (
	"bytes"
	"encoding/json"
	"log"
	"log/slog"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"prumo.dev/prumo/internal/config"
)

// TestLibrariesLogAsWeDo has what logs by itself do so in the format, and above the
// level, of the configuration.
func TestLibrariesLogAsWeDo(t *testing.T) {
	before, flags, out := slog.Default(), log.Flags(), log.Writer()
	t.Cleanup(func() {
		klog.ClearLogger()
		slog.SetDefault(before)
		log.SetFlags(flags)
		log.SetOutput(out)
	})
	say := func() {
		klog.Infof("told by %s", "klog")
		klog.Errorf("refreshing credentials: %s", "no such plugin")
		klog.ErrorS(http.ErrHandlerTimeout, "Unhandled Error", "logger", "reflector")
		klog.V(4).Info("every request")
		log.Print("http: TLS handshake error")
		slog.Warn("ours")
	}
	type line struct{ Level, Msg, Err string }
	info, levels := line{Level: "INFO", Msg: "told by klog"}, map[string][]line{}
	levels["warn"] = []line{
		{Level: "ERROR", Msg: "refreshing credentials: no such plugin"},
		{Level: "ERROR", Msg: "Unhandled Error", Err: http.ErrHandlerTimeout.Error()},
		{Level: "WARN", Msg: "ours"},
	}
	levels["info"] = []line{info, levels["warn"][0], levels["warn"][1], {Level: "INFO", Msg: "http: TLS handshake error"}, levels["warn"][2]}
	for level, want := range levels {
		var text bytes.Buffer
		cmd := new(cobra.Command)
		cmd.SetErr(&text)
		newLogger(cmd, config.Log{Format: "json", Level: level})
		say()
		var got []line
		for _, raw := range bytes.Split(bytes.TrimSpace(text.Bytes()), []byte("\n")) {
			var l line
			if err := json.Unmarshal(raw, &l); err != nil {
				t.Errorf("%s: not a line of ours: %s", level, raw)
			}
			got = append(got, l)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", level, diff)
		}
	}
}
