"""Errors in the words of the command line: options instead of fields, and the command that leads on."""

from idp.errors import IdpError, InvalidMembersError, Remedy

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
    "max_lease_seconds": "--max-lease",
    "projects": "--project",
    "keys": "--key",
    "name": "The name",
    "category": "CATEGORY",
    "entity": "ENTITY",
}
"""What fields of domains are given by."""


def worded(error: IdpError) -> str:
    """Return what a person at the keyboard is told."""
    sentence = str(error)
    if isinstance(error, InvalidMembersError):
        sentence = "; ".join(f"{_OPTIONS.get(field, field)}: {problem}" for field, problem in error.members[:3]) + "."
    return f"{sentence} {_leading_on(error.remedy)}" if error.remedy is not None else sentence


def _leading_on(remedy: Remedy) -> str:
    return _REMEDIES[remedy.act].format(realm=remedy.realm, within=remedy.within)
