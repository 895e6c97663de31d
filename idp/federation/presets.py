"""What is known beforehand of issuers that many trust: where they are, how their tokens are used, and what names an owner.

The claims that do are pins: ids that are never given to another. A repository, group or account that is deleted and registered
again by somebody else has the name of the former, and another id.
"""

from dataclasses import dataclass
from typing import Literal

PresetName = Literal[
    "oidc", "kubernetes", "github", "gitlab", "google", "azure", "aws", "spiffe", "terraform", "buildkite", "circleci"
]
Replay = Literal["once", "reuse"]

TEN_MINUTES, HOUR, DAY = 600, 3_600, 86_400


@dataclass(frozen=True)
class Preset:
    """A kind of issuer."""

    title: str
    issuer: str = ""
    """Its `iss`, where that is the same for everybody."""
    pins: tuple[str, ...] = ()
    """Claims that name an owner by an id that is not given to another; a rule has to have one of them. Empty if none is known."""
    replay: Replay = "reuse"
    """Whether an assertion is accepted once, by its `jti`, or again: some vendors keep tokens and hand out the same."""
    longest_age: int = TEN_MINUTES
    """Seconds since `iat` for which an assertion is accepted."""
    longest_life: int = DAY
    """Seconds between `iat` and `exp` that an assertion may have."""


PRESETS: dict[PresetName, Preset] = {
    "oidc": Preset("OpenID Connect"),
    "kubernetes": Preset("Kubernetes", pins=("kubernetes.io.serviceaccount.uid",), longest_age=HOUR),
    "github": Preset(
        "GitHub Actions",
        issuer="https://token.actions.githubusercontent.com",
        pins=("repository_id", "repository_owner_id"),
        replay="once",
        longest_life=HOUR,
    ),
    "gitlab": Preset("GitLab", pins=("project_id", "namespace_id"), replay="once"),
    "google": Preset(
        "Google Cloud",
        issuer="https://accounts.google.com",
        pins=("sub", "google.compute_engine.instance_id", "google.compute_engine.project_number"),
        longest_age=HOUR,
        longest_life=HOUR,
    ),
    "azure": Preset("Microsoft Entra ID", pins=("oid", "sub", "tid"), longest_age=DAY, longest_life=DAY + HOUR),
    "aws": Preset(
        "AWS",
        pins=(
            "https://sts.amazonaws.com/.principal_id",
            "https://sts.amazonaws.com/.aws_account",
            "https://sts.amazonaws.com/.org_id",
        ),
        longest_age=HOUR,
        longest_life=HOUR,
    ),
    "spiffe": Preset("SPIFFE", longest_life=HOUR),
    "terraform": Preset(
        "HCP Terraform",
        issuer="https://app.terraform.io",
        pins=("terraform_workspace_id", "terraform_project_id", "terraform_organization_id"),
        longest_age=2 * HOUR,
        longest_life=2 * HOUR,
    ),
    "buildkite": Preset(
        "Buildkite", issuer="https://agent.buildkite.com", pins=("pipeline_id", "organization_id"), longest_life=HOUR
    ),
    "circleci": Preset("CircleCI", pins=("sub", "oidc.circleci.com/project-id"), longest_age=HOUR, longest_life=HOUR),
}
