package git

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	objectLine = "object 1111111111111111111111111111111111111111\n"
	tagHead    = objectLine + "type commit\ntag approve/x/ana\ntagger Ana <ana@example.org> 1 +0000\n"
	tagArmor   = "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"
)

func TestParseTag(t *testing.T) {
	got, err := parseTag([]byte(tagHead + "\nrepo: x\n-----BEGINNING\n" + tagArmor))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{strings.Repeat("1", 40), "approve/x/ana", "repo: x\n-----BEGINNING\n", tagHead + "\nrepo: x\n-----BEGINNING\n", tagArmor}
	if diff := cmp.Diff(want, []string{got.Object, got.Name, got.Message, string(got.Payload), got.Signature}); diff != "" {
		t.Errorf("tag (-want +got):\n%s", diff)
	}
	if got, err := parseTag([]byte(tagHead + "\nno signature")); err != nil || got.Signature != "" {
		t.Errorf("unsigned: got %+v, %v", got, err)
	}
}

func TestParseTagRefuses(t *testing.T) {
	for name, raw := range map[string]string{
		"empty":                  "",
		"NUL":                    tagHead + "\nm\x00",
		"no UTF-8":               tagHead + "\n\xff",
		"no body":                tagHead,
		"carriage return":        strings.Replace(tagHead, "ana\n", "ana\r\n", 1) + "\nm",
		"a tag of a tag":         strings.Replace(tagHead, "type commit", "type tag", 1) + "\nm",
		"a tag of a tree":        strings.Replace(tagHead, "type commit", "type tree", 1) + "\nm",
		"no object":              strings.Replace(tagHead, objectLine, "", 1) + "\nm",
		"two objects":            objectLine + tagHead + "\nm",
		"short object":           strings.Replace(tagHead, "1111\n", "\n", 1) + "\nm",
		"no name":                strings.Replace(tagHead, "tag approve/x/ana\n", "", 1) + "\nm",
		"empty name":             strings.Replace(tagHead, "tag approve/x/ana\n", "tag \n", 1) + "\nm",
		"name without a space":   strings.Replace(tagHead, "tag approve/x/ana\n", "tag\n", 1) + "\nm",
		"two names":              strings.Replace(tagHead, "tag approve/x/ana\n", "tag a\ntag b\n", 1) + "\nm",
		"space in the name":      strings.Replace(tagHead, "x/ana", "x /ana", 1) + "\nm",
		"no tagger":              objectLine + "type commit\ntag a\n\nm",
		"bad tagger":             strings.Replace(tagHead, " 1 +0000", "", 1) + "\nm",
		"gpgsig header":          tagHead + "gpgsig x\n\nm",
		"gpgsig-sha256 header":   tagHead + "gpgsig-sha256 x\n\nm",
		"two signatures":         tagHead + "\nm\n" + tagArmor + tagArmor,
		"signature, then others": tagHead + "\nm\n" + tagArmor + "m\n-----BEGIN PGP SIGNATURE-----\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseTag([]byte(raw))
			if bad := (*BadObject)(nil); !errors.As(err, &bad) || bad.Code != CodeFormat {
				t.Errorf("got %+v, error %v; want %s", got, err, CodeFormat)
			}
		})
	}
}

// What is accepted can be written again, byte for byte, from what was read.
func FuzzParseTag(f *testing.F) {
	f.Add([]byte(tagHead + "\nm\n" + tagArmor))
	f.Add([]byte(tagHead + "\nm"))
	f.Add([]byte(strings.Replace(tagHead, "tag approve/x/ana\n", "tag\n", 1) + "\nm"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tag, err := parseTag(raw)
		if err != nil {
			return
		}
		signed := "object " + tag.Object + "\ntype commit\ntag " + tag.Name + "\ntagger " + tag.Tagger.String() + "\n\n" + tag.Message
		if string(tag.Payload) != signed || !bytes.Equal([]byte(signed+tag.Signature), raw) {
			t.Errorf("read %q, wrote %q with payload %q", raw, signed+tag.Signature, tag.Payload)
		}
	})
}
