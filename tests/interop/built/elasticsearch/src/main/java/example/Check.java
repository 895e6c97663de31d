package example;

import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.source.ImmutableJWKSet;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jose.util.JSONObjectUtils;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URL;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Stands in for Elasticsearch's JWT realm with `token_type: access_token`: its rules, as its documentation gives them, put to the
 * classes it uses.
 *
 * <p>Arguments: the header types that it takes, joined with commas, and its settings as a JSON object. Reads tokens, one a line, and
 * writes the principal of each, or "refused" and why.
 */
public final class Check {
  private static final int CLOCK_SKEW = 60;

  public static void main(String[] arguments) throws Exception {
    Map<String, Object> settings = JSONObjectUtils.parse(arguments[1]);
    var processor = processor(Set.of(arguments[0].split(",")), settings);
    var lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      System.out.println(verdict(processor, settings, line));
    }
  }

  private static String verdict(
      DefaultJWTProcessor<SecurityContext> processor, Map<String, Object> settings, String token) {
    try {
      return processor.process(token, null).getStringClaim((String) settings.get("claims.principal"));
    } catch (Exception cause) {
      return "refused: " + cause.getMessage();
    }
  }

  private static DefaultJWTProcessor<SecurityContext> processor(Set<String> types, Map<String, Object> settings)
      throws Exception {
    var keys = new ImmutableJWKSet<SecurityContext>(JWKSet.load(new URL((String) settings.get("pkc_jwkset_path"))));
    var processor = new DefaultJWTProcessor<SecurityContext>();
    processor.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(typesAndNone(types)));
    processor.setJWSKeySelector(
        new JWSVerificationKeySelector<>(
            strings(settings, "allowed_signature_algorithms").stream().map(JWSAlgorithm::parse).collect(Collectors.toSet()),
            keys));
    processor.setJWTClaimsSetVerifier(claims(settings));
    return processor;
  }

  /** A header without a type passes, too. */
  private static Set<JOSEObjectType> typesAndNone(Set<String> types) {
    var allowed = types.stream().map(JOSEObjectType::new).collect(Collectors.toCollection(HashSet::new));
    allowed.add(null);
    return allowed;
  }

  private static DefaultJWTClaimsVerifier<SecurityContext> claims(Map<String, Object> settings) {
    var exact = new JWTClaimsSet.Builder().issuer((String) settings.get("allowed_issuer"));
    settings.forEach(
        (name, value) -> {
          if (name.startsWith("required_claims.")) {
            exact.claim(name.substring("required_claims.".length()), value);
          }
        });
    var verifier =
        new DefaultJWTClaimsVerifier<SecurityContext>(
            new HashSet<>(strings(settings, "allowed_audiences")), exact.build(), Set.of("sub", "iat", "exp"), Set.of());
    verifier.setMaxClockSkew(CLOCK_SKEW);
    return verifier;
  }

  @SuppressWarnings("unchecked")
  private static List<String> strings(Map<String, Object> settings, String name) {
    return (List<String>) settings.get(name);
  }
}
