// Package verifier is for APIs that accept Realmgate's access tokens: it checks them against the realm's key set, and against the
// realm's feed of what was recalled since.
//
//	v, err := verifier.New(verifier.Config{
//		Issuer:   "https://id.example.com/auth/realms/acme",
//		Audience: []string{"https://api.example.com"},
//	})
//	identity, err := v.Verify(ctx, token) // *InvalidTokenError or *UnavailableError
//	identity.HasProjectRole("researcher", "vision")
//
// It needs the standard library only: crypto/rsa and crypto/ecdsa check the three signatures that Realmgate makes, and everything else
// that decides about a token is here, so that it is the same as in the verifiers for Python and TypeScript. All three read one file of
// vectors (clients/vectors).
package verifier

// Version is the version of Realmgate that this package belongs to.
const Version = "0.1.0"
