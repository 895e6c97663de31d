package verifier

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxToken = 16_384          // characters of the longest token that is looked at
	latest   = 253_402_300_800 // the end of the year 9999; no token is about later times
	maxKid   = 255
)

const notAToken = "The token is not a signed JWT."

var strictBase64 = base64.RawURLEncoding.Strict()

// token is a JWT that was taken apart. Nothing of it is known to be true before its signature was checked.
type token struct {
	header, claims map[string]any
	signed         string // what the signature is over
	signature      string // as it was sent
}

// readUnverified takes a compact JWS apart: three segments of base64url, two of them JSON objects.
func readUnverified(text string, longest int) (*token, error) {
	if len(text) > longest && utf8.RuneCountInString(text) > longest {
		return nil, refuse(Malformed, "The token is longer than "+strconv.Itoa(longest)+" characters.")
	}
	if strings.Count(text, ".") != 2 {
		return nil, refuse(Malformed, notAToken)
	}
	first, last := strings.IndexByte(text, '.'), strings.LastIndexByte(text, '.')
	t := &token{signed: text[:last], signature: text[last+1:]}
	if !isSegment(t.signature) {
		return nil, refuse(Malformed, "The token has no signature.")
	}
	var err error
	if t.header, err = readSegment(text[:first]); err != nil {
		return nil, err
	}
	if t.claims, err = readSegment(text[first+1 : last]); err != nil {
		return nil, err
	}
	return t, nil
}

func isSegment(text string) bool {
	for i := range len(text) {
		letter := text[i]
		if !('A' <= letter && letter <= 'Z' || 'a' <= letter && letter <= 'z' || '0' <= letter && letter <= '9' || letter == '-' || letter == '_') {
			return false
		}
	}
	return text != ""
}

func readSegment(segment string) (map[string]any, error) {
	if !isSegment(segment) { // the decoder passes over line ends
		return nil, refuse(Malformed, notAToken)
	}
	data, err := strictBase64.DecodeString(segment)
	if err != nil {
		return nil, refuse(Malformed, notAToken)
	}
	object, err := parseObject(data)
	if err != nil {
		return nil, refuse(Malformed, notAToken)
	}
	return object, nil
}

// isSignedBy tells whether a key has signed the token; it must be for the token's algorithm.
func (t *token) isSignedBy(key *publicKey) bool {
	signature, err := strictBase64.DecodeString(t.signature)
	return err == nil && key.verifies([]byte(t.signed), signature)
}

// typ returns the kind of token that the header names, in lower case and without application/.
func (t *token) typ() string {
	typ, _ := t.header["typ"].(string)
	return strings.TrimPrefix(asciiLower(typ), "application/")
}

// asciiLower changes letters of ASCII only: there are others whose small letter is one of ASCII.
func asciiLower(text string) string {
	return strings.Map(func(letter rune) rune {
		if 'A' <= letter && letter <= 'Z' {
			return letter + 'a' - 'A'
		}
		return letter
	}, text)
}

type kind int

const (
	otherKind kind = iota
	accessToken
	idToken
	sessionToken
)

// kind tells what the token is for. A header of JWT says nothing, so there the claim typ has to: without Bearer it is no access token.
func (t *token) kind() kind {
	claim, isText := t.claims["typ"].(string)
	if _, has := t.claims["typ"]; has && !isText {
		claim = "\x00"
	}
	switch typ := t.typ(); {
	case typ == "at+jwt" && (claim == "Bearer" || claim == ""):
		return accessToken
	case typ == "jwt" && claim == "Bearer":
		return accessToken
	case typ == "jwt" && claim == "ID":
		return idToken
	case typ == "session+jwt":
		return sessionToken
	}
	return otherKind
}

// checkTimes checks exp, nbf and iat (RFC 7519 §4.1.4 to §4.1.6); seconds.
func checkTimes(claims map[string]any, now, leeway float64) error {
	times := map[string]float64{}
	for _, name := range []string{"exp", "nbf", "iat"} {
		value, has := claims[name]
		if !has && name != "exp" {
			continue
		}
		number, isNumber := value.(float64)
		if !isNumber || !(0 <= number && number < latest) {
			return refuse(Claims, "The token's "+name+" is missing or not a usable number.")
		}
		times[name] = number
	}
	if times["exp"]+leeway <= now {
		return refuse(Expired, "The token has expired. Fetch a new one.")
	}
	if max(times["nbf"], times["iat"])-leeway > now {
		return refuse(Early, "The token is not valid yet. Check the clocks.")
	}
	return nil
}

// hasAudience tells whether aud is or holds one of the accepted values, compared as whole texts (RFC 7519 §4.1.3).
func hasAudience(claims map[string]any, accepted map[string]bool) bool {
	values, isList := claims["aud"].([]any)
	if !isList {
		values = []any{claims["aud"]}
	}
	found := false
	for _, value := range values {
		text, isText := value.(string)
		if !isText {
			return false
		}
		found = found || text != "" && accepted[text]
	}
	return found
}
