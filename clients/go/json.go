package verifier

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how many objects and lists may be inside each other.
const maxDepth = 64

// maxDigits is how long an integer may be.
const maxDigits = 4300

var errJSON = errors.New("not JSON as it is read here")

// jsonReader reads JSON by the letter (RFC 8259). encoding/json is more lenient where that matters for a token: it takes the last of two
// members with one name, and puts a replacement for half of a surrogate pair.
type jsonReader struct {
	text string
	at   int
}

// parseObject reads a JSON object: members as any of nil, bool, float64, string, []any and map[string]any.
func parseObject(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, errJSON
	}
	r := &jsonReader{text: string(data)}
	value, err := r.value(0)
	if err != nil {
		return nil, err
	}
	r.space()
	object, ok := value.(map[string]any)
	if !ok || r.at != len(r.text) {
		return nil, errJSON
	}
	return object, nil
}

func (r *jsonReader) space() {
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.at]) >= 0 {
		r.at++
	}
}

// take reads one character after spaces if it is the one given.
func (r *jsonReader) take(wanted byte) bool {
	r.space()
	if r.at < len(r.text) && r.text[r.at] == wanted {
		r.at++
		return true
	}
	return false
}

func (r *jsonReader) value(depth int) (any, error) {
	r.space()
	if r.at >= len(r.text) {
		return nil, errJSON
	}
	switch r.text[r.at] {
	case '{':
		return r.object(depth + 1)
	case '[':
		return r.list(depth + 1)
	case '"':
		return r.string()
	case 't':
		return r.word("true", true)
	case 'f':
		return r.word("false", false)
	case 'n':
		return r.word("null", nil)
	}
	return r.number()
}

func (r *jsonReader) word(word string, value any) (any, error) {
	if !strings.HasPrefix(r.text[r.at:], word) {
		return nil, errJSON
	}
	r.at += len(word)
	return value, nil
}

func (r *jsonReader) object(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errJSON
	}
	r.at++
	members := map[string]any{}
	if r.take('}') {
		return members, nil
	}
	for {
		r.space()
		if r.at >= len(r.text) || r.text[r.at] != '"' {
			return nil, errJSON
		}
		name, err := r.string()
		if err != nil {
			return nil, err
		}
		if _, repeated := members[name]; repeated || !r.take(':') {
			return nil, errJSON
		}
		if members[name], err = r.value(depth); err != nil {
			return nil, err
		}
		if r.take('}') {
			return members, nil
		}
		if !r.take(',') {
			return nil, errJSON
		}
	}
}

func (r *jsonReader) list(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errJSON
	}
	r.at++
	values := []any{}
	if r.take(']') {
		return values, nil
	}
	for {
		value, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
		if r.take(']') {
			return values, nil
		}
		if !r.take(',') {
			return nil, errJSON
		}
	}
}

func (r *jsonReader) digits() int {
	start := r.at
	for r.at < len(r.text) && '0' <= r.text[r.at] && r.text[r.at] <= '9' {
		r.at++
	}
	return r.at - start
}

func (r *jsonReader) isNext(set string) bool {
	return r.at < len(r.text) && strings.IndexByte(set, r.text[r.at]) >= 0
}

func (r *jsonReader) number() (any, error) {
	start := r.at
	if r.isNext("-") {
		r.at++
	}
	zero := r.isNext("0")
	digits := r.digits()
	if digits == 0 || zero && digits > 1 {
		return nil, errJSON
	}
	isInteger := true
	if r.isNext(".") {
		r.at++
		isInteger = false
		if r.digits() == 0 {
			return nil, errJSON
		}
	}
	if r.isNext("eE") {
		r.at++
		isInteger = false
		if r.isNext("+-") {
			r.at++
		}
		if r.digits() == 0 {
			return nil, errJSON
		}
	}
	if isInteger && digits > maxDigits {
		return nil, errJSON
	}
	number, err := strconv.ParseFloat(r.text[start:r.at], 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range is infinite, or 0
		return nil, errJSON
	}
	return number, nil
}

var escapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func (r *jsonReader) string() (string, error) {
	r.at++
	var text strings.Builder
	for r.at < len(r.text) {
		letter := r.text[r.at]
		r.at++
		switch {
		case letter == '"':
			return text.String(), nil
		case letter < ' ':
			return "", errJSON
		case letter != '\\':
			text.WriteByte(letter)
		case r.isNext("u"):
			point, err := r.escaped()
			if err != nil {
				return "", err
			}
			text.WriteRune(point)
		case r.at < len(r.text) && escapes[r.text[r.at]] != 0:
			text.WriteByte(escapes[r.text[r.at]])
			r.at++
		default:
			return "", errJSON
		}
	}
	return "", errJSON
}

// escaped reads what follows a backslash: u and four digits, and the second half of a pair where they are its first.
func (r *jsonReader) escaped() (rune, error) {
	first, err := r.unit()
	if err != nil || !utf16.IsSurrogate(first) {
		return first, err
	}
	if !r.isNext("\\") {
		return 0, errJSON
	}
	r.at++
	if !r.isNext("u") {
		return 0, errJSON
	}
	second, err := r.unit()
	if err != nil {
		return 0, err
	}
	point := utf16.DecodeRune(first, second)
	if point == utf8.RuneError {
		return 0, errJSON
	}
	return point, nil
}

func (r *jsonReader) unit() (rune, error) {
	r.at++
	if r.at+4 > len(r.text) {
		return 0, errJSON
	}
	number, err := strconv.ParseUint(r.text[r.at:r.at+4], 16, 32)
	if err != nil {
		return 0, errJSON
	}
	r.at += 4
	return rune(number), nil
}
