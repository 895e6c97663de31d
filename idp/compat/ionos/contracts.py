"""The contract, which is the realm: `/cloudapi/v6/contracts`."""

from typing import Any

from flask import Response

from idp import runtime
from idp.compat.ionos.lists import PREFIX, collected, filter_names, ordered_by, sent_filters
from idp.compat.parameters import takes
from idp.realms import Realm
from idp.rules import Authority

_PROPERTIES = ("contractNumber", "owner", "status", "regDomain")

_LIMITS = (
    "coresPerServer",
    "coresPerContract",
    "coresProvisioned",
    "ramPerServer",
    "ramPerContract",
    "ramProvisioned",
    "hddLimitPerVolume",
    "hddLimitPerContract",
    "hddVolumeProvisioned",
    "ssdLimitPerVolume",
    "ssdLimitPerContract",
    "ssdVolumeProvisioned",
    "dasVolumeProvisioned",
    "reservableIps",
    "reservedIpsOnContract",
    "reservedIpsInUse",
    "k8sClusterLimitTotal",
    "k8sClustersProvisioned",
    "nlbLimitTotal",
    "nlbProvisioned",
    "natGatewayLimitTotal",
    "natGatewayProvisioned",
    "securityGroupsPerVdc",
    "securityGroupsPerResource",
    "rulesPerSecurityGroup",
)
"""Of resources, of which there are none here. Generated clients refuse a contract without them."""


@takes("orderBy", "maxResults", *filter_names(*_PROPERTIES))
def list_contracts(authority: Authority) -> Response:
    """Show the contract."""
    ordered_by(dict.fromkeys(_PROPERTIES))
    properties = _properties(authority.realm, authority.caller.user.name if hasattr(authority.caller.subject, "name") else "")
    asked = all(value.lower() in str(properties[name]).lower() for name, value in sent_filters().items())
    limits = {"resourceLimits": dict.fromkeys(_LIMITS, 0)}
    contract = {
        "id": str(authority.realm.contract_number),
        "type": "contract",
        "href": f"{runtime.current().settings.public_url}{PREFIX}/contracts",
        "properties": properties | limits,
    }
    return collected("contracts", [contract] if asked else [])


def _properties(realm: Realm, owner: str) -> dict[str, Any]:
    return {
        "contractNumber": realm.contract_number,
        "owner": owner,
        "status": "BILLABLE" if realm.enabled else "CEASED",
        "regDomain": realm.name,
    }
