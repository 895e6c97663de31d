package verifier

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

type vector struct {
	Name     string          `json:"name"`
	Settings json.RawMessage `json:"settings"`
	Keys     string          `json:"keys"`
	Time     float64         `json:"time"`
	Token    any             `json:"token"`
	Expect   map[string]any  `json:"expect"`
}

type vectorSettings struct {
	Issuer          string   `json:"issuer"`
	Audience        []string `json:"audience"`
	Algorithms      []string `json:"algorithms"`
	IDTokenAudience []string `json:"id_token_audience"`
	SessionTokens   bool     `json:"session_tokens"`
	Leeway          int      `json:"leeway"`
}

type vectorFile struct {
	Settings json.RawMessage            `json:"settings"`
	KeySets  map[string]json.RawMessage `json:"key_sets"`
	Vectors  []vector                   `json:"vectors"`
}

// read reads a file of vectors.
func read(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile("../vectors/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

func (s vectorSettings) config() Config {
	leeway := time.Duration(s.Leeway) * time.Second
	if leeway == 0 {
		leeway = NoLeeway
	}
	return Config{
		Issuer:          s.Issuer,
		Audience:        s.Audience,
		Algorithms:      s.Algorithms,
		IDTokenAudience: s.IDTokenAudience,
		SessionTokens:   s.SessionTokens,
		Leeway:          leeway,
	}
}

// issuerOf stands in for an issuer that serves a key set.
type issuerOf struct {
	issuer string
	keys   []byte
}

func (i issuerOf) RoundTrip(request *http.Request) (*http.Response, error) {
	body := i.keys
	if strings.HasSuffix(request.URL.Path, discoveryPath) {
		body, _ = json.Marshal(map[string]string{"issuer": i.issuer, "jwks_uri": i.issuer + "/certs"})
	} else if request.URL.String() != i.issuer+"/certs" {
		return nil, errors.New("nobody is to be asked but the issuer: " + request.URL.String())
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: request}, nil
}

func clockAt(seconds float64) func() time.Time {
	whole := int64(seconds)
	return func() time.Time { return time.Unix(whole, int64((seconds-float64(whole))*1e9)) }
}

func tokenOf(parts any) string {
	list, isList := parts.([]any)
	if !isList {
		return parts.(string)
	}
	var text strings.Builder
	for _, part := range list {
		if repeated, isObject := part.(map[string]any); isObject {
			text.WriteString(strings.Repeat(repeated["repeat"].(string), int(repeated["times"].(float64))))
		} else {
			text.WriteString(part.(string))
		}
	}
	return text.String()
}

// asJSON returns a verdict as the vectors say it.
func asJSON(t *testing.T, identity *Identity, err error) map[string]any {
	t.Helper()
	var invalid *InvalidTokenError
	var unavailable *UnavailableError
	switch {
	case errors.As(err, &invalid):
		return map[string]any{"refused": string(invalid.Cause)}
	case errors.As(err, &unavailable):
		return map[string]any{"refused": "keys"}
	case err != nil:
		t.Fatalf("an error of another kind: %v", err)
	}
	projects := map[string]any{}
	for name, roles := range identity.Projects {
		projects[name] = sorted(roles)
	}
	return map[string]any{"accepted": map[string]any{
		"subject": identity.Subject, "client_id": identity.ClientID, "roles": sorted(identity.Roles), "projects": projects,
	}}
}

func sorted(names []string) []any {
	values := []any{}
	for _, name := range slices.Sorted(slices.Values(names)) {
		values = append(values, name)
	}
	return values
}

func TestVerdictsAreThoseOfTheVectors(t *testing.T) {
	var file vectorFile
	read(t, "tokens.json", &file)
	if len(file.Vectors) < 150 {
		t.Fatalf("there are %d vectors only", len(file.Vectors))
	}
	for _, vector := range file.Vectors {
		t.Run(vector.Name, func(t *testing.T) {
			var settings vectorSettings
			for _, part := range []json.RawMessage{file.Settings, vector.Settings} {
				if err := json.Unmarshal(part, &settings); err != nil {
					t.Fatal(err)
				}
			}
			config := settings.config()
			config.HTTPClient = &http.Client{Transport: issuerOf{settings.Issuer, file.KeySets[vector.Keys]}}
			config.Now = clockAt(vector.Time)
			v, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			identity, err := v.Verify(t.Context(), tokenOf(vector.Token))
			if got := asJSON(t, identity, err); !reflect.DeepEqual(got, vector.Expect) {
				t.Errorf("%v instead of %v", got, vector.Expect)
			}
		})
	}
}
