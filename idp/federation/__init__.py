"""Programs that are known by the word of an issuer outside of this server: no secret is kept for them anywhere."""

from idp.federation.check import (
    Admission,
    AssertionRefusedError,
    Examination,
    LineFinding,
    RuleFinding,
    admit,
    examine,
    forget_used_assertions,
    trusted,
)
from idp.federation.conditions import Line, matches, values_at
from idp.federation.fetching import fetch_due_keys, fetch_keys, want_keys
from idp.federation.known import KnownIssuer, KnownRule, known_issuers
from idp.federation.models import FederationRule, KeySource, Mode, TrustedIssuer, UsedForeignAssertion
from idp.federation.presets import PRESETS, Preset, PresetName
from idp.federation.service import (
    create_issuer,
    create_rule,
    delete_issuer,
    delete_rule,
    get_issuer,
    get_rule,
    issuer_listing,
    refresh_issuer,
    rule_listing,
    update_issuer,
    update_rule,
    weakness_of,
)
from idp.federation.sheet import FederationRuleSheet, LineSheet, TrustedIssuerSheet

__all__ = [
    "PRESETS",
    "Admission",
    "AssertionRefusedError",
    "Examination",
    "FederationRule",
    "FederationRuleSheet",
    "KeySource",
    "KnownIssuer",
    "KnownRule",
    "Line",
    "LineFinding",
    "LineSheet",
    "Mode",
    "Preset",
    "PresetName",
    "RuleFinding",
    "TrustedIssuer",
    "TrustedIssuerSheet",
    "UsedForeignAssertion",
    "admit",
    "create_issuer",
    "create_rule",
    "delete_issuer",
    "delete_rule",
    "examine",
    "fetch_due_keys",
    "fetch_keys",
    "forget_used_assertions",
    "get_issuer",
    "get_rule",
    "issuer_listing",
    "known_issuers",
    "matches",
    "refresh_issuer",
    "rule_listing",
    "trusted",
    "update_issuer",
    "update_rule",
    "values_at",
    "want_keys",
    "weakness_of",
]
