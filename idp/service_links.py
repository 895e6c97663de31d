"""What Kubernetes puts into the environment of every pod beside a service called `idp`, and what is not a setting of ours."""

import re

_SERVICE_LINK = re.compile(r"(?:tcp|udp|sctp)://[^/]+:\d+")
_SERVICE_LINK_NAME = re.compile(
    r"IDP_(?:\w+_)?(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)


def is_service_link(value: object) -> bool:
    """Tell whether a value is what Kubernetes sets `IDP_PORT` to in every pod beside a service called `idp`.

    It says where that service is, and nothing of where this process is to listen: the setting counts as not set.
    """
    return isinstance(value, str) and _SERVICE_LINK.fullmatch(value) is not None


def is_link_variable(name: str, value: str) -> bool:
    """Tell whether a variable of the environment is one of those that Kubernetes sets for its services."""
    return _SERVICE_LINK_NAME.fullmatch(name) is not None or (name.endswith("_PORT") and is_service_link(value))
