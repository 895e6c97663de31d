"""How a program that a trusted issuer vouches for fetches a token, by the platform that it runs on: docs/federation.md."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from textwrap import indent

from idp.console.snippets import FROM_THE_SHELL, TOKEN_FILE, Snippet, asserted_request
from idp.federation import PRESETS, TrustedIssuer


def workload_snippets(issuer: str, client_id: str, trusted: Sequence[TrustedIssuer]) -> Sequence[Snippet]:
    """Return what a program can begin with: one text for each issuer, and one for anything else where none is for that.

    :param issuer: of the realm.
    :param trusted: those that may vouch for the program.
    """
    known: list[Snippet] = []
    others: list[Snippet] = []
    for each in trusted:
        audience = (each.audiences or [issuer])[0]
        platform = _PLATFORMS.get(each.preset)
        title = PRESETS[each.preset].title if platform else "curl"  # type: ignore[index]  # what was stored was checked
        title += f": {each.name}" if len(trusted) > 1 else ""
        written = (platform or _ANYWHERE).written(title, issuer, client_id, audience)
        (known if platform else others).append(written)
    audience = next((each.audiences[0] for each in trusted if each.audiences), issuer)
    return [*known, *(others or [_ANYWHERE.written("curl", issuer, client_id, audience)])]


@dataclass(frozen=True)
class _Platform:
    """How programs of a platform come by an assertion, and show it."""

    file: str
    """What the text is called as a file."""
    text: str
    assertion: str = FROM_THE_SHELL
    """The parameter of the request, as the shell is to read it."""
    output: str = TOKEN_FILE
    """The file for the answer; empty for none."""
    inset: int = 0
    """Columns before the lines of the request."""

    def written(self, title: str, issuer: str, client_id: str, audience: str) -> Snippet:
        """Return the text for one application; `audience` is what the assertion is to be made for."""
        request = asserted_request(issuer, client_id, self.assertion, output=self.output)
        values = {
            "request": indent(request, " " * self.inset).lstrip(),
            "audience": quote(audience),
            "parameter": quote(f"audience={audience}"),
            "yaml": json.dumps(audience),
            "mounted": _MOUNTED,
        }
        return Snippet(title, self.file, self.text % values)


_MOUNTED, _IN_THE_POD = "/var/run/realmgate", "/tmp/token.json"  # noqa: S108 (of a pod that has no other program)

_ANYWHERE = _Platform(
    "token.sh",
    """\
# ASSERTION is what the platform has signed for the program, made for this audience:
AUDIENCE=%(audience)s
%(request)s
""",
)

# the shell is named for its pipefail, without which a step that is refused would go on with an empty token
_GITHUB = """\
permissions:
  id-token: write
steps:
  - name: Fetch a token
    shell: bash
    run: |
      assertion=$(curl --fail --silent --show-error --get "$ACTIONS_ID_TOKEN_REQUEST_URL" \\
        --header "Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \\
        --data-urlencode %(parameter)s | jq --raw-output .value)
      echo "::add-mask::$assertion"
      token=$(%(request)s \\
        | jq --raw-output .access_token)
      echo "::add-mask::$token"
      echo "TOKEN=$token" >> "$GITHUB_ENV"
"""

_GITLAB = """\
fetch-token:
  id_tokens:
    ASSERTION:
      aud: %(yaml)s
  script:
    - |
      %(request)s
"""

_KUBERNETES = """\
# the service account is the one that the rule pins; its token is renewed, so the file is read for each request
apiVersion: v1
kind: Pod
metadata:
  name: fetch-token
spec:
  serviceAccountName: default
  restartPolicy: Never
  containers:
    - name: fetch-token
      image: curlimages/curl
      command: [sh, -c]
      args:
        - |
          %(request)s
      volumeMounts:
        - name: identity
          mountPath: %(mounted)s
          readOnly: true
  volumes:
    - name: identity
      projected:
        sources:
          - serviceAccountToken:
              audience: %(yaml)s
              expirationSeconds: 3600
              path: token
"""

_GOOGLE = """\
ASSERTION=$(curl --fail --silent --show-error --get --header Metadata-Flavor:Google \\
  --data-urlencode %(parameter)s --data format=full \\
  http://metadata/computeMetadata/v1/instance/service-accounts/default/identity)
%(request)s
"""

_TERRAFORM = """\
# a variable of the workspace:
TFC_WORKLOAD_IDENTITY_AUDIENCE=%(audience)s
# the run has the assertion then:
%(request)s
"""

_BUILDKITE = """\
ASSERTION=$(buildkite-agent oidc request-token --audience %(audience)s)
%(request)s
"""

_PLATFORMS: Mapping[str, _Platform] = {
    "github": _Platform("token.yml", _GITHUB, '"client_assertion=$assertion"', output="", inset=6),
    "gitlab": _Platform("token.gitlab-ci.yml", _GITLAB, inset=6),
    "kubernetes": _Platform("token.yaml", _KUBERNETES, f"client_assertion@{_MOUNTED}/token", _IN_THE_POD, inset=10),
    "google": _Platform("token.sh", _GOOGLE),
    "terraform": _Platform("token.sh", _TERRAFORM, '"client_assertion=$TFC_WORKLOAD_IDENTITY_TOKEN"'),
    "buildkite": _Platform("token.sh", _BUILDKITE),
}
"""By preset. What hands out no assertion by a command of its own is told by `_ANYWHERE` what is needed."""
