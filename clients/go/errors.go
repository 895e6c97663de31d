package verifier

// Cause says in one word what a token was refused for.
type Cause string

// The causes. Their sentences are for whoever sent the token; they hold no part of it.
const (
	Malformed Cause = "malformed" // not a signed JWT: shape, length, base64url, JSON
	Header    Cause = "header"    // members of the header that are not supported
	Algorithm Cause = "algorithm" // an algorithm that is not configured
	Type      Cause = "type"      // another kind of token, such as an ID token
	Signature Cause = "signature" // no accepted key has signed it
	Issuer    Cause = "issuer"    // another issuer's
	Expired   Cause = "expired"   // past its end
	Early     Cause = "early"     // from the future
	Audience  Cause = "audience"  // meant for another API
	Claims    Cause = "claims"    // claims that are missing or have another form
	Recalled  Cause = "recalled"  // taken back since it was issued
	Bound     Cause = "bound"     // to a key or a certificate, and no proofs are taken here
)

// InvalidTokenError says that a token is refused. Answer 401 with the error invalid_token.
type InvalidTokenError struct {
	Cause   Cause
	Message string
}

func (e *InvalidTokenError) Error() string { return e.Message }

func refuse(cause Cause, message string) error { return &InvalidTokenError{cause, message} }

// UnavailableError says that no token can be checked at the moment, for want of keys or of news about what was recalled. It is a fault
// of the server side: answer 503.
type UnavailableError struct {
	Message string
	Err     error
}

func (e *UnavailableError) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *UnavailableError) Unwrap() error { return e.Err }
