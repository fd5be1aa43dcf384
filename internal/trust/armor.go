package trust

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxArmor bounds a signature in bytes. An RSA-16384 signature by OpenPGP, with
// notations, stays well below it.
const maxArmor = 64 << 10

// Types of armored block that a commit's gpgsig header may hold.
const (
	armorSSH = "SSH SIGNATURE"
	armorPGP = "PGP SIGNATURE"
	armorCMS = "SIGNED MESSAGE" // X.509 and keyless (gitsign)
)

// webFlow is how commits end that GitHub signs itself: the header's value has one
// empty line more than gpg writes. They are refused, not read over: GitHub's key
// stands for no person, and names itself by 64 bits only.
const webFlow = "-----END PGP SIGNATURE-----\n\n"

// armorWidths are the line widths that signing tools write: 70 by ssh-keygen, 64
// by gpg and Go's pem, 76 by RFC 4880's upper bound. Any other wrapping is the
// same signature in another spelling, hence another commit id, and is refused.
var armorWidths = map[string][]int{armorSSH: {70, 64}, armorPGP: {64, 76}, armorCMS: {64}}

var (
	armorBegin  = regexp.MustCompile(`^-----BEGIN ([A-Z ]+)-----$`)
	armorHeader = regexp.MustCompile(`^(Version|Comment): [\x20-\x7e]{0,200}$`)
)

// unarmor decodes one armored block that is the whole of s, in the canonical
// spelling that signing tools write: nothing before, between or after, lines of
// one width, canonical base64, and for OpenPGP a right checksum if there is one.
func unarmor(s string) (kind string, blob []byte, err error) {
	if len(s) > maxArmor {
		return "", nil, fmt.Errorf("the signature has %d bytes; the most is %d", len(s), maxArmor)
	}
	if strings.HasSuffix(s, webFlow) {
		return "", nil, errors.New("the signature ends with an empty line, as those of GitHub's web pages do (web-flow): " +
			"that key signs for whoever pressed the button, so it says nothing about who did; commit and merge with git, and sign with a key of your own")
	}
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	begin := armorBegin.FindStringSubmatch(lines[0])
	if begin == nil {
		return "", nil, errors.New("the signature does not begin with a line -----BEGIN …-----")
	}
	kind = begin[1]
	widths := armorWidths[kind]
	if widths == nil {
		return "", nil, fmt.Errorf("a block of type %q is no signature", kind)
	}
	if len(lines) < 3 || lines[len(lines)-1] != "-----END "+kind+"-----" {
		return "", nil, fmt.Errorf("the signature does not end with the line -----END %s-----", kind)
	}
	body := lines[1 : len(lines)-1]
	var sum string
	if kind == armorPGP {
		if body, sum, err = trimPGP(body); err != nil {
			return "", nil, err
		}
	}
	blob, err = decodeLines(body, widths)
	if err == nil && sum != "" && sum != checksum(blob) {
		err = errors.New("the checksum of the signature's armor is wrong")
	}
	return kind, blob, err
}

// decodeLines decodes base64 lines that are all as wide as the first, but the
// last, which may be shorter.
func decodeLines(lines []string, widths []int) ([]byte, error) {
	for i, l := range lines {
		last := i == len(lines)-1
		full := slices.Contains(widths, len(l)) && len(l) == len(lines[0])
		if !full && (!last || l == "" || len(l) > len(lines[0]) || i == 0 && len(l) > slices.Max(widths)) {
			return nil, errors.New("the lines of the signature are not wrapped as a signing tool wraps them")
		}
	}
	text := strings.Join(lines, "")
	blob, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") || len(blob) == 0 {
		return nil, errors.New("the signature is not canonical base64")
	}
	return blob, nil
}

// trimPGP takes armor headers, the blank line and the checksum off (RFC 4880
// §6.2).
func trimPGP(lines []string) (body []string, sum string, err error) {
	blank := slices.Index(lines, "")
	if blank < 0 || blank > 4 {
		return nil, "", errors.New("the signature has no blank line after its armor headers")
	}
	for _, h := range lines[:blank] {
		if !armorHeader.MatchString(h) {
			return nil, "", errors.New("the signature has an armor header other than Version or Comment")
		}
	}
	body = lines[blank+1:]
	if n := len(body); n > 0 && len(body[n-1]) == 5 && body[n-1][0] == '=' {
		body, sum = body[:n-1], body[n-1]
	}
	if len(body) == 0 {
		return nil, "", errors.New("the signature is empty")
	}
	return body, sum, nil
}

// checksum is the CRC-24 line of an OpenPGP armor (RFC 4880 §6.1), which the
// OpenPGP library reads over.
func checksum(data []byte) string {
	crc := uint32(0xb704ce)
	for _, b := range data {
		crc ^= uint32(b) << 16
		for range 8 {
			if crc <<= 1; crc&0x1000000 != 0 {
				crc ^= 0x1864cfb
			}
		}
	}
	return "=" + base64.StdEncoding.EncodeToString([]byte{byte(crc >> 16), byte(crc >> 8), byte(crc)})
}
