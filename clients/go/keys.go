package verifier

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"slices"
	"strings"
)

// publicKey is a key with the one algorithm that it is for. Keys for algorithms that no token is checked with hold neither rsa nor ec.
type publicKey struct {
	algorithm string
	rsa       *rsa.PublicKey
	ec        *ecdsa.PublicKey
}

// verifies tells whether a signature is this key's over a message.
func (k *publicKey) verifies(message, signature []byte) bool {
	hashed := sha256.Sum256(message)
	switch {
	case k.algorithm == "RS256" && k.rsa != nil:
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, hashed[:], signature) == nil
	case k.algorithm == "PS256" && k.rsa != nil:
		return rsa.VerifyPSS(k.rsa, crypto.SHA256, hashed[:], signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	case k.algorithm == "ES256" && k.ec != nil && len(signature) == 64:
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(k.ec, hashed[:], r, s)
	}
	return false
}

var (
	privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
	sigOperations  = []string{"sign", "verify"}
	allOperations  = append([]string{"encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits"}, sigOperations...)
)

// usableKeys returns the signature keys of a key set by id; what cannot be used is passed over.
func usableKeys(document map[string]any) map[string]*publicKey {
	entries, _ := document["keys"].([]any)
	keys := map[string]*publicKey{}
	for _, entry := range entries {
		jwk, _ := entry.(map[string]any)
		kid, isText := jwk["kid"].(string)
		if key := importKey(jwk); key != nil && isText {
			keys[kid] = key
		}
	}
	return keys
}

// importKey makes a key of a public JWK for signatures (RFC 7517), or returns nil where that is not to be.
func importKey(jwk map[string]any) *publicKey {
	if !verifies(jwk) || !hasUsableMembers(jwk) {
		return nil
	}
	algorithm, _ := jwk["alg"].(string)
	kty, _ := jwk["kty"].(string)
	crv, _ := jwk["crv"].(string)
	switch {
	case kty == "RSA":
		if key := importRSA(jwk); key != nil {
			return &publicKey{algorithm: either(algorithm, "RS256"), rsa: key}
		}
	case kty == "EC":
		return importEC(jwk, crv, either(algorithm, "ES256"))
	case kty == "OKP" && crv == "Ed25519":
		if x, ok := decodeMember(jwk, "x"); ok && len(x) == 32 {
			return &publicKey{algorithm: algorithm}
		}
	}
	return nil
}

func either(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// verifies tells whether a key is published to check signatures with (RFC 7517 §4.2 and §4.3), and none of its private half with it.
func verifies(jwk map[string]any) bool {
	for _, name := range privateMembers {
		if _, has := jwk[name]; has {
			return false
		}
	}
	use, hasUse := jwk["use"]
	if hasUse && use != "sig" {
		return false
	}
	operations, has := jwk["key_ops"]
	if !has {
		return true
	}
	list, _ := operations.([]any)
	allowed := allOperations
	if hasUse {
		allowed = sigOperations
	}
	for _, operation := range list {
		if text, isText := operation.(string); !isText || !slices.Contains(allowed, text) {
			return false
		}
	}
	return slices.Contains(list, any("verify"))
}

// hasUsableMembers tells whether members that are not looked at have the type that they must have (RFC 7517 §4).
func hasUsableMembers(jwk map[string]any) bool {
	for _, name := range []string{"alg", "x5t", "x5t#S256", "x5u"} {
		value, has := jwk[name]
		text, isText := value.(string)
		if has && !isText {
			return false
		}
		if has && name == "x5u" && !strings.HasPrefix(text, "http://") && !strings.HasPrefix(text, "https://") {
			return false
		}
	}
	chain, has := jwk["x5c"]
	if !has {
		return true
	}
	list, isList := chain.([]any)
	return isList && !slices.ContainsFunc(list, func(each any) bool { _, isText := each.(string); return !isText })
}

func decodeMember(jwk map[string]any, name string) ([]byte, bool) {
	text, _ := jwk[name].(string)
	if !isSegment(text) {
		return nil, false
	}
	data, err := strictBase64.DecodeString(text)
	return data, err == nil
}

func importEC(jwk map[string]any, crv, algorithm string) *publicKey {
	curve, has := map[string]ecdh.Curve{"P-256": ecdh.P256(), "P-384": ecdh.P384(), "P-521": ecdh.P521()}[crv]
	size := map[string]int{"P-256": 32, "P-384": 48, "P-521": 66}[crv]
	x, hasX := decodeMember(jwk, "x")
	y, hasY := decodeMember(jwk, "y")
	if !has || !hasX || !hasY {
		return nil
	}
	numbers := [2]*big.Int{new(big.Int).SetBytes(x), new(big.Int).SetBytes(y)}
	point := []byte{4}
	for _, number := range numbers {
		if number.BitLen() > size*8 {
			return nil
		}
		point = append(point, number.FillBytes(make([]byte, size))...)
	}
	if _, err := curve.NewPublicKey(point); err != nil { // not on the curve
		return nil
	}
	key := &publicKey{algorithm: algorithm}
	if crv == "P-256" {
		key.ec = &ecdsa.PublicKey{Curve: elliptic.P256(), X: numbers[0], Y: numbers[1]}
	}
	return key
}

func importRSA(jwk map[string]any) *rsa.PublicKey {
	modulus, hasModulus := decodeMember(jwk, "n")
	exponent, hasExponent := decodeMember(jwk, "e")
	if !hasModulus || !hasExponent || len(modulus) > 1024 || len(exponent) > 1024 {
		return nil
	}
	n, e := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent)
	if !e.IsInt64() || isWeak(n, e.Int64()) {
		return nil
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}
}

const (
	shortestRSA, longestRSA = 2048, 8192
	largestExponent         = 1<<31 - 1 // the largest that crypto/rsa takes
)

// infineon has for each prime the powers of 65537 in the remainders by it. The library of CVE-2017-15361 took primes of the form
// k*M + (65537^a mod M), where M is the product of the first primes, so the modulus is such a power by each of them (Nemec et al., "The
// Return of Coppersmith's Attack", 2017, section 4).
var infineon = func() map[int64][]bool {
	powers := map[int64][]bool{}
	for _, prime := range primesBelow(168) {
		powers[prime] = make([]bool, prime)
		for power := int64(1); !powers[prime][power]; power = power * 65537 % prime {
			powers[prime][power] = true
		}
	}
	return powers
}()

var smallPrimes = append(primesBelow(2000), 2)

func primesBelow(limit int64) []int64 {
	var primes []int64
	for number := int64(3); number < limit; number += 2 {
		if !slices.ContainsFunc(primes, func(prime int64) bool { return number%prime == 0 }) {
			primes = append(primes, number)
		}
	}
	return primes
}

// isWeak tells whether an RSA key can be factored although it is long, or costs whoever checks a signature too much.
func isWeak(n *big.Int, e int64) bool {
	if bits := n.BitLen(); bits < shortestRSA || bits > longestRSA {
		return true
	}
	if e < 3 || e%2 == 0 || e > largestExponent {
		return true
	}
	remainder := func(prime int64) int64 { return new(big.Int).Mod(n, big.NewInt(prime)).Int64() }
	if slices.ContainsFunc(smallPrimes, func(prime int64) bool { return remainder(prime) == 0 }) {
		return true
	}
	for prime, powers := range infineon {
		if !powers[remainder(prime)] {
			return false
		}
	}
	return true
}
