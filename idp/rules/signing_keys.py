"""Who sees and changes signing keys."""

from idp.rules.authority import Authority


def check_reading(authority: Authority) -> None:
    """See that the caller may see the signing keys of the realm.

    :raises DeniedError: they may not.
    """
    authority.require("keys:read")


def can_read(authority: Authority) -> bool:
    """Tell whether the caller may see the signing keys of the realm."""
    return authority.can("keys:read")


def check_changing(authority: Authority) -> None:
    """See that the caller may rotate and revoke the signing keys of the realm.

    :raises DeniedError: they may not.
    """
    authority.require("keys:write")
