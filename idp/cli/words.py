"""Errors in the words of the command line: options instead of fields, and the command that leads on."""

from idp.errors import IdpError, Remedy, Words

_REMEDIES = {
    "list realms": "`idp realms list` lists them all.",
    "list applications": "`idp applications list --realm {realm}` lists them.",
    "list secrets": "`idp applications secrets list --realm {realm} {within}` lists them.",
    "list users": "`idp users list --realm {realm}` lists them.",
    "list groups": "`idp groups list --realm {realm}` lists them.",
    "list members": "`idp groups members --realm {realm} {within}` lists them.",
    "list roles": "`idp roles list --realm {realm}` lists them.",
    "list projects": "`idp projects list --realm {realm}` lists them.",
    "list grants": "`idp grants list --realm {realm}` lists its roles.",
    "remove grants": "`idp grants remove` does.",
    "list signing keys": "`idp keys list --realm {realm}` lists them.",
    "list master keys": "`idp master-key list` lists them.",
    "rotate master key": "Run `idp master-key rotate`; it names what it cannot decrypt.",
}
"""By what an error says would lead on; see `errors.Remedy`."""

_OPTIONS = {
    "lines": "--line",
    "max_lease_seconds": "--max-lease",
    "is_default": "--default",
    "projects": "--project",
    "roles": "--role",
    "groups": "--group",
    "keys": "--key",
    "resources": "--resource",
    "web_origins": "--web-origin",
    "redirect_uris": "--redirect-uri",
    "post_logout_redirect_uris": "--post-logout-redirect-uri",
    "grant_types": "--grant",
    "scopes": "--scope",
    "open_audiences": "--open-audience",
    "addresses": "--address",
    "signing_algorithm": "--algorithm",
    "access_token_type": "--token-type",
    "rate_per_second": "--rate",
    "rate_per_minute": "--rate",
    "expires_at": "--expires",
    "name": "The name",
    "category": "CATEGORY",
    "entity": "ENTITY",
    "permissions": "PERMISSIONS",
    "owner": "OWNER",
    "subject": "SUBJECT",
}
"""What fields of domains are given by, where that is not an option of the same name."""


def option_of(field: str) -> str:
    """Return the option that a field of a domain is given by."""
    return _OPTIONS.get(field) or f"--{field.replace('_', '-')}"


class _OptionWords(Words):
    """Fields are given by options."""

    def field(self, name: str) -> str:
        """Return the option that a field is given by."""
        return option_of(name.partition(".")[0])

    def leading_on(self, remedy: Remedy) -> str:
        """Return the command that leads on."""
        return _REMEDIES.get(remedy.act, "").format(realm=remedy.realm, within=remedy.within)


_WORDS = _OptionWords()


def worded(error: IdpError) -> str:
    """Return what a person at the keyboard is told."""
    return error.said(_WORDS)
