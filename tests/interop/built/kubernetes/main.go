// Command kubernetes answers who sends a bearer token, as Kubernetes' API server finds it out with a file of configuration:
// it loads, checks and uses the file with the packages of the API server.
//
// Arguments are the file, the address to listen on and, for https, a certificate and its key.
// GET / answers the user as JSON, or 401 and why. GET /healthz answers 200 once the issuers have been read.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/cel"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/token/union"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
)

// certificateAuthority is one of the configuration.
type certificateAuthority string

func (c certificateAuthority) CurrentCABundleContent() []byte { return []byte(c) }

// load reads a file strictly: what it does not know, or finds twice, is an error.
func load(path string) (*apiserver.AuthenticationConfiguration, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	object, err := runtime.Decode(codecs.UniversalDecoder(), data)
	if err != nil {
		return nil, err
	}
	configuration, ok := object.(*apiserver.AuthenticationConfiguration)
	if !ok {
		return nil, fmt.Errorf("%s holds a %T", path, object)
	}
	return configuration, nil
}

// authenticators makes what the API server would ask about tokens.
func authenticators(configuration *apiserver.AuthenticationConfiguration) ([]oidc.AuthenticatorTokenWithHealthCheck, error) {
	compiler := cel.NewDefaultCompiler()
	if errs := validation.ValidateAuthenticationConfiguration(compiler, configuration, nil); len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	made := []oidc.AuthenticatorTokenWithHealthCheck{}
	for _, issuer := range configuration.JWT {
		options := oidc.Options{
			JWTAuthenticator:     issuer,
			Compiler:             compiler,
			SupportedSigningAlgs: oidc.AllValidSigningAlgorithms(),
		}
		if authority := issuer.Issuer.CertificateAuthority; authority != "" {
			options.CAContentProvider = certificateAuthority(authority)
		}
		each, err := oidc.New(context.Background(), options)
		if err != nil {
			return nil, err
		}
		made = append(made, each)
	}
	return made, nil
}

func main() {
	configuration, err := load(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	issuers, err := authenticators(configuration)
	if err != nil {
		log.Fatal(err)
	}
	tokens := []authenticator.Token{}
	for _, each := range issuers {
		tokens = append(tokens, each)
	}
	requests := bearertoken.New(union.New(tokens...))
	http.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		for _, each := range issuers {
			if err := each.HealthCheck(); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
	})
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		answer, ok, err := requests.AuthenticateRequest(r)
		if err != nil || !ok {
			http.Error(w, fmt.Sprint(err), http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(answer.User)
	})
	if len(os.Args) == 5 {
		log.Fatal(http.ListenAndServeTLS(os.Args[2], os.Args[3], os.Args[4], nil))
	}
	log.Fatal(http.ListenAndServe(os.Args[2], nil))
}
