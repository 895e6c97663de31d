"""Makes docs/specifications.md: which rule is proved by which test, from the marks of the tests (`make docs`)."""

import ast
import re
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parent

RULES = {
    "R1": "RFC 9700 §4.1.3: redirect URIs compare byte for byte; only the port of a loopback address may vary",
    "R2": "RFC 9700 §4.11.2: nobody is redirected to an address that is not registered",
    "R3": "RFC 9700 §2.1.1: PKCE, of every client",
    "R4": "RFC 9700 §4.8.2: a verifier goes with a challenge only",
    "R5": "RFC 9700 §2.1.1: S256 only",
    "R6": "RFC 9700 §2.1.1: a wrong verifier is refused and burns nothing",
    "R7": "RFC 9700 §2.1.2: no token in the front channel",
    "R8": "RFC 9700 §2.4: no password grant",
    "R9": "RFC 9700 §2.3: access tokens name their audience, do no more than was asked for, and can be bound to a key",
    "R10": "RFC 9700 §4.14.2: refresh tokens of public clients are rotated",
    "R11": "RFC 9700 §4.14.2: a refresh token used again ends its whole line",
    "R12": "RFC 9700 §4.14.2: a refresh token is bound to scope and resource",
    "R13": "RFC 9700 §4.14.2: refresh tokens end with password, sign-out, idleness",
    "R14": "RFC 9700 §2.5: asymmetric client authentication is offered",
    "R15": "RFC 9207: iss in every authorization response",
    "R16": "RFC 9700 §4.12: redirects after a password are 303",
    "R17": "RFC 9700 §4.16: pages cannot be framed",
    "R18": "RFC 9700 §4.2.4: nothing reaches third parties by Referer, and pages use nothing of theirs",
    "R19": "RFC 9700 §4.5: a code works once, and used again it revokes what it gave",
    "R20": "RFC 9700 §4.15.1: no client looks like a person",
    "R21": "RFC 9700 §4.13: identity headers count from configured proxies only",
    "R23": "RFC 9700 §2.6: metadata is published and true",
    "R24": "An unknown realm is refused whatever comes with it",
    "R25": "RFC 9700 §2.6: no CORS at the authorization endpoint",
    "R26": "RFC 6749 §3.2: empty parameters count as absent, unknown ones are ignored, repeated ones refused",
    "R27": "RFC 6749 §3.2: POST and form encoding only",
    "R28": "RFC 6749 §2.3.1: credentials never in the URL",
    "R29": "RFC 6749 §2.3: one client credential in a request",
    "R30": "RFC 6749 §2.3.1: Basic credentials are form-decoded",
    "R31": "RFC 6749 §5.1: success is JSON and not stored",
    "R32": "RFC 6749 §5.1: access_token, token_type, expires_in, scope",
    "R34": "RFC 6749 §5.2: failed authentication is 401 invalid_client with a challenge",
    "R35": "RFC 6749 §5.2: characters of error_description",
    "R36": "RFC 6749 §5.2: the right error code",
    "R37": "RFC 6749 §4.1.3: redirect_uri at the token endpoint is that of the request",
    "R38": "RFC 6749 §4.1.2: a code lives for 60 seconds",
    "R39": "RFC 6749 §4.1.2: state comes back unchanged, once",
    "R40": "RFC 6749 §4.1.2.1: a wrong client or redirect URI is a page",
    "R41": "RFC 6749 §6: refreshing never widens",
    "R42": "RFC 6749 §6: a refresh token of another client is invalid_grant",
    "R43": "RFC 6749 §4.4.3: no refresh token",
    "R44": "RFC 6749 §10.10: at least 128 random bits",
    "R45": "RFC 6750 §3: answers of a resource server",
    "R46": "RFC 6750 §2: one way of presenting a token, and not in the URL",
    "R47": "RFC 6750 §2.1: scheme in any case, one b64token",
    "R48": "RFC 7009 §2.1: the client's own authentication, its own tokens",
    "R49": "RFC 7009 §2.2: unknown and dead tokens are success",
    "R50": "RFC 7009 §2.1: an unknown hint is ignored",
    "R51": "RFC 7009 §2.1: a revoked token is dead",
    "R52": "RFC 7009 §2.2.1: unsupported_token_type; 503 when storage is down",
    "R53": "Every worker knows within a second",
    "R54": "RFC 7662 §2.1: the caller authenticates",
    "R55": "RFC 7662 §2.2: inactive, and nothing more",
    "R56": "RFC 7662 §2.1: POST only, nothing in the URL",
    "R57": "RFC 7662 §2.2: a resource server sees what concerns it",
    "R58": "RFC 7662 §4: active only after every check",
    "R59": "OpenID Discovery §4.3: the issuer, byte for byte",
    "R60": "RFC 8414 §3.1: both well-known URLs",
    "R61": "RFC 8414 §3.2: no empty lists; every capability is exercised",
    "R62": "OpenID Core §10.1.1: keys are published before they sign and until their tokens are dead",
    "R63": "OpenID Core §10.1.1: the key set is cached shorter than keys are announced",
    "R64": "OpenID Core §2: claims of an ID token",
    "R65": "OpenID Core §2: its audience is the client",
    "R66": "OpenID Connect Core §2: nonce is copied when sent",
    "R67": "OpenID Connect Core §2: auth_time",
    "R68": "OpenID Core §3.1.3.6: at_hash",
    "R69": "OpenID Core §2: signed with the chosen algorithm",
    "R70": "OpenID Connect Core §3.1.2.1: prompt=none shows no page",
    "R71": "OpenID Connect Core §3.1.2.1: prompt=none goes alone",
    "R72": "OpenID Connect Core §3.1.2.1: prompt=login, prompt=consent, max_age",
    "R73": "OpenID Core §3.1.2.1: no ID token without scope openid",
    "R74": "OpenID Connect Core §3.1.2.1: GET and POST alike",
    "R75": "OpenID Connect Core §3.1.2.2: a hint for somebody else is never passed over",
    "R76": "OpenID Connect Core §3.1.2.2: a hint is verified as ours, also when it has expired",
    "R77": "OpenID Connect Core §5.3.2: UserInfo has the sub of the ID token",
    "R78": "OpenID Connect Core §5.3.1: UserInfo by GET and POST",
    "R79": "OpenID Connect Core §6: request objects are refused by name",
    "R81": "OpenID Connect Core §12.2: the ID token of a refresh",
    "R82": "RP-Initiated Logout: redirect with a valid hint only, and a question without",
    "R83": "Back-Channel Logout §2.4: the logout token",
    "R84": "RFC 9068 §2: header and claims of an access token",
    "R85": "RFC 9068 §3, RFC 8707: audience and resource",
    "R86": "RFC 9068 §2.2: sub is the server's own id of the application",
    "R87": "RFC 9068 §4: what a verifier checks",
    "R88": "RFC 8725 §3.11: no token passes for another kind",
    "R89": "RFC 8725 §3.1: algorithms are fixed by key and use",
    "R91": "RFC 8725 §3.4: weak and foreign keys are refused",
    "R93": "RFC 8725 §3.7: UTF-8, iss, sub and aud are checked",
    "R94": "RFC 8725 §3.10: keys and addresses in a header mean nothing",
    "R95": "RFC 8725 §3.8: one leeway of at most 60 seconds",
    "R96": "RFC 7523 §3: what an assertion must say; five minutes; once",
    "R97": "RFC 7521 §4.2.1: a bad assertion is invalid_client",
    "R98": "RFC 7523 §3: another client's key does not do",
    "R99": "RFC 8693 §2: what an exchange takes and answers",
    "R100": "RFC 8707 §2, RFC 8693 §2.2.2: an unknown target is invalid_target, a bad subject token invalid_request",
    "R101": "RFC 8693 §4.1: the result never outlives nor exceeds what it came from; delegation shows in act",
    "R102": "RFC 9126: pushed authorization requests",
    "R103": "RFC 9126 §5, §6: pushing can be required",
    "R104": "RFC 9449 §4.3, §8, §9: what a proof must be; each once; nonces where they are demanded",
    "R105": "RFC 9449 §5 to §7, §10: tokens, refresh tokens of public clients, and codes are bound to the key",
    "R106": "ASVS 6.2: passwords of 8 to 1024 characters of any kind, the 3,000 most common refused",
    "R107": "ASVS 6.2.3, 6.4.6: a change takes the old password; an administrator starts a reset and does not choose",
    "R108": "ASVS 6.3.2: no default accounts; initial secrets are random, short-lived, single use",
    "R109": "ASVS 6.3.4: every way in has the same limits",
    "R110": "ASVS 6.3.8: who has an account cannot be told from answers",
    "R113": "ASVS 7.2: a new session token at every sign-in; idle and absolute limits",
    "R114": "ASVS 7.4: sessions end at the server, and can be listed and ended",
    "R115": "ASVS 7.5.1: the password is asked for again before an email address changes",
    "R116": "ASVS 7.6.2: a session begins by an explicit act only",
    "R117": "ASVS 9: self-contained tokens",
    "R118": "ASVS 10.4: redirect match, codes, grants per client, PKCE, refresh",
    "R119": "ASVS 10.4.9, 10.7: consent is shown, remembered, and taken back",
    "R120": "ASVS 10.4.10: clients authenticate at token, introspection and revocation",
    "R121": "ASVS 10.6.1: no response type that holds a token",
    "R122": "ASVS 3.3: cookies",
    "R123": "ASVS 4.1.3: headers of intermediaries cannot be set by users",
    "R124": "ASVS 16: events are recorded, without secrets",
    "RS1": "RFC 9728 §2, §3, §5.1, RFC 6750 §3.1: protected resources are described, and challenges lead there, with what to ask for",
    "RS2": "RFC 8707 §2: each grant makes the resources that are asked for the audience, or says invalid_target",
    "RS3": "RFC 8707 §2.2: codes and refresh tokens are used for some of the resources that were granted, and no others",
    "RS4": "draft-ietf-oauth-client-id-metadata-document §3 to §6: which URLs and documents, how they are fetched and kept, what people see",
}

NOT_OFFERED = [
    ("R79", "Request objects are refused, each with its own error; parameters can be pushed instead."),
    ("R80", "`sub` is public: the same person is the same to every application of a realm."),
    ("R111, R112", "No second factors and no other identity providers yet."),
]

PARTLY = [
    (
        "R18",
        "Pages of the console say `Referrer-Policy: same-origin` and not `no-referrer`: with that, browsers would send `Origin: null` with a form, which is what forms are told apart by.",
    ),
    (
        "R24 (RFC 9700 §2.6)",
        "TLS is left to a proxy in front; `idp doctor` warns when the public URL is plain http and not loopback. The default listens on loopback only.",
    ),
    (
        "R33",
        "Errors are 400 as RFC 6749 §5.2 has it, but for 401 (failed client authentication), 403 (the realm is disabled), 404 (no such realm), 405, 411 (a form in chunks: the server in front cannot tell one that was cut from a whole one; JSON in chunks is read), 415 and 503.",
    ),
    (
        "R53",
        "A verifier that checks signatures by itself accepts a revoked token until it expires, at most ten hours; introspection knows within a second. A revoked *key* is gone from verifiers after `max-age`.",
    ),
    ("R57", "JWT answers of introspection (RFC 9701) are not offered."),
    (
        "R62",
        "After `idp keys revoke` the key that takes over signs at once: a verifier within its fetch cool-down may refuse the first tokens. That is the price of not accepting a leaked key.",
    ),
    (
        "R110",
        "Answers are alike byte for byte, but for the reference number, and every sign-in compares one hash; medians of times were compared, no statistical test runs.",
    ),
    (
        "R113, T89",
        "A session token that was refreshed cannot be refreshed again, and counts until its 900 seconds are over. The session begins with a sign-in and is never taken over from a cookie. The console's cookie is renewed while it is used; the one before works on for the rest of its 900 seconds, since a browser may miss the answer with the new one.",
    ),
    (
        "R114",
        "A session token that an API checks by its signature alone is accepted there until it expires, at most 900 seconds; here, at the gateway and at introspection it is refused within a second. The token that the gateway hands to the API behind it lives 300 seconds.",
    ),
    (
        "R122",
        "The API's cookie is called `Authorization`, as the contract has it, so it cannot have the prefix `__Host-`; it is as that asks. The console's cookies have it wherever the public URL is https. They are SameSite=Lax, so that a link in a mail leads to a page.",
    ),
    (
        "T108",
        "Who may write users and groups can put an account of their own into a group that holds nothing, and then holds what somebody gives the group later. Its members are listed; look at them before giving it a role. Secrets, public keys and API keys that such people make do not grow so, and no codes go to mail addresses that they choose. A limited secret answers for the `resources` that its application is given later. A secret, a key or an address of before schema 0007 is taken for what it is.",
    ),
    (
        "The audit trail",
        "A hash chain with signed checkpoints, and a mark under the master key, and what each machine has seen, show what was changed after it was sealed; docs/audit.md says what it cannot show. What a killed worker had gathered of token events in the last second is not in it.",
    ),
    (
        "R106",
        "`POST /v1/tenants/{uid}/password/policy` and `PUT …/authTokenSettings` accept what there is and refuse anything else: the policy is the same for all.",
    ),
    (
        "R107",
        "Contracts whose administrators choose or are shown passwords (`tempPassword`, `password` of a new user) are answered without: the person is mailed a link.",
    ),
    (
        "R107, secrets shown once",
        "The answer to a create that carried an `Idempotency-Key`, secret included, is kept sealed for a day, for the same caller with the same roles.",
    ),
    (
        "R77",
        "A POST to UserInfo with the token in the body is refused: the header is the one way.",
    ),
    (
        "T75, T76",
        "Who registers an application can set one URL that the server calls: `backchannel_logout_uri`, at public addresses only unless `IDP_OUTBOUND_PRIVATE` is set. The operator sets one for checkpoints (`IDP_AUDIT_PUSH_WEBHOOK`) and one for traces, which may be addresses inside; redirects of the first are not followed and its answers are shown to nobody.",
    ),
    ("T108", "An API key that ends can make an application, whose secret does not end with it. The trail names the key's owner."),
    (
        "Limits",
        "Without a Valkey each worker allows its share of a rate, so a client whose connections meet one worker only gets that share. The sign-in limits are counted in the database, by all workers together.",
    ),
    (
        "T84",
        "`X-Forwarded-For` counts from configured proxies only, but the HTTP server below cannot tell `X_Forwarded_For` from it: a proxy that passes headers with underscores on must drop those. nginx does by itself; docs/gateway.md says how others do.",
    ),
    ("T85", "`GET /v1/auth/refresh/{token}` carries a token in its path, as the contract has it; this server logs no paths."),
    (
        "API keys",
        "The rate of a key is counted in the memory of each worker, which allows its share; a mail may go out twice when a worker is killed between the mail server's answer and the note of it.",
    ),
    (
        "A grant's end date",
        "New tokens are without it from that second on, and introspection leaves it out; a token issued before carries it until it expires, at most ten hours.",
    ),
    (
        "T28",
        "A body has 10 s, and 1 s while half of a worker's 1,024 connections wait for bodies; each costs an idle thread meanwhile. A flood of them still uses up the connections of a worker that faces the network bare; a proxy that buffers bodies does not let them through.",
    ),
    (
        "RFC 9449",
        "Session tokens, which API keys are exchanged for, are not bound. The verifier in Python remembers proofs for its own process, and hands out no nonces; those in TypeScript and Go take no proofs, and refuse bound tokens. The gateway takes proofs for APIs whose audience is their URL.",
    ),
    (
        "RFC 8705",
        "The proxy ends TLS and hands the certificate over. Of the two methods of client authentication there is `self_signed_tls_client_auth`, by the certificate of a registered key; `tls_client_auth` by names of a certificate authority, and `mtls_endpoint_aliases`, are not there.",
    ),
    (
        "FAPI 2.0",
        "Security Profile, as a profile of an application or realm; `bound/test_fapi.py` has a test for each module of both certification plans that this machine can judge. Refresh tokens are rotated, which §5.3.2.1 asks to leave; ciphers of TLS are the proxy's; Message Signing is not offered.",
    ),
    (
        "T88",
        "Refusals cost the same statements, keyed hashes and signature checks whether the application, or the key, exists or not. The first wrong try of an application that a worker does not have in memory reads its rows, and an application with more than eight live secrets shows.",
    ),
]


def proofs() -> dict[str, list[str]]:
    """Return the tests that carry each mark."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef):
                continue
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.spec":
                    for argument in decorator.args:
                        found[ast.literal_eval(argument)].append(f"{path.relative_to(TESTS)}: {node.name}")
    return found


def _order(rule: str) -> tuple[str, int]:
    match = re.fullmatch(r"([A-Z]+)-?(\d+)", rule)
    assert match is not None, rule
    return match[1], int(match[2])


def page() -> str:
    """Return the page."""
    found = proofs()
    lines = [
        "# Specifications",
        "",
        "Which rule is met, and the tests that prove it. Made from the marks of the tests by `make docs`; a test sees to it that",
        "this page is current. R numbers are the project's own list of rules drawn from RFC 6749, 6750, 7009, 7523, 7662, 8414, 8707,",
        "8725, 9068, 9700, OpenID Connect Core and Discovery, and OWASP ASVS 5.0. T numbers are published vulnerabilities of",
        "products of this kind, AUTHLIB numbers behaviours of Authlib's framework that are below the bar here.",
        "",
        "## Done",
        "",
        "| rule | what | proved by |",
        "|---|---|---|",
    ]
    lines += [
        f"| {rule} | {RULES[rule]} | {'<br>'.join(f'`{each}`' for each in found[rule])} |" for rule in sorted(RULES, key=_order)
    ]
    lines += ["", "## Met in part, and limits", "", "| rule | what is left |", "|---|---|"]
    lines += [f"| {rule} | {text} |" for rule, text in PARTLY]
    lines += ["", "## Not offered", "", "| rules | why |", "|---|---|"]
    lines += [f"| {rules} | {text} |" for rules, text in NOT_OFFERED]
    lines += ["", "## Known failures of other products", "", "| number | proved by |", "|---|---|"]
    others = [rule for rule in found if not rule.startswith("R")]
    lines += [f"| {rule} | {'<br>'.join(f'`{each}`' for each in found[rule])} |" for rule in sorted(others, key=_order)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
