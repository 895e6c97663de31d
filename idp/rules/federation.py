"""Who decides which issuers outside are trusted, and which of their programs are admitted as which application.

Whoever can say whose word counts can act as every application that is admitted by it.
"""

from idp import applications, federation
from idp.callers import DeniedError
from idp.errors import NotFoundError, Sentence
from idp.federation import Explanation, FederatedPerson, FederationRule, FederationRuleSheet, TrustedIssuer, TrustedIssuerSheet
from idp.realms import known_realm
from idp.rules import applications as rules_of_applications
from idp.rules.authority import Authority
from idp.rules.delegation import frozen_for, is_admitted, owns_realm

READ, USERS_READ = "realm:read", "users:read"


def check_reading(authority: Authority) -> None:
    """See that the caller may see the trusted issuers of the realm.

    :raises DeniedError: they may not.
    """
    authority.require(READ)


def can_change_issuers(authority: Authority) -> bool:
    """Tell whether the caller may decide which issuers are trusted."""
    return owns_realm(authority) and not is_admitted(authority)


def check_changing_issuers(authority: Authority) -> None:
    """See that the caller may decide which issuers are trusted.

    :raises DeniedError: the caller is no administrator of the realm, or only for a while; or was admitted by the word of one.
    """
    if is_admitted(authority):
        raise DeniedError("Whoever was admitted by the word of a trusted issuer cannot decide whose word counts.")
    if not owns_realm(authority):
        raise DeniedError(Sentence("Only an administrator of the {realm} can decide which issuers are trusted."))


def visible_issuer(authority: Authority, name: str) -> TrustedIssuer:
    """Return a trusted issuer that the caller may see.

    :raises DeniedError: they may see none.
    :raises NotFoundError: there is none of this name.
    """
    check_reading(authority)
    return federation.get_issuer(authority.realm, name)


def create_issuer(authority: Authority, name: str, sheet: TrustedIssuerSheet) -> TrustedIssuer:
    """Have the realm trust an issuer; see `federation.create_issuer`.

    :raises DeniedError: the caller may not.
    """
    check_changing_issuers(authority)
    return federation.create_issuer(authority.realm, name, sheet)


def update_issuer(authority: Authority, name: str, sheet: TrustedIssuerSheet) -> TrustedIssuer:
    """Change a trusted issuer; see `federation.update_issuer`.

    :raises DeniedError: the caller may not.
    :raises NotFoundError: there is none of this name.
    """
    check_changing_issuers(authority)
    issuer = federation.get_issuer(authority.realm, name)
    federation.update_issuer(authority.realm, issuer, sheet)
    return issuer


def delete_issuer(authority: Authority, name: str) -> None:
    """Delete a trusted issuer; see `federation.delete_issuer`.

    :raises DeniedError: the caller may not.
    :raises NotFoundError: there is none of this name.
    """
    check_changing_issuers(authority)
    federation.delete_issuer(authority.realm, federation.get_issuer(authority.realm, name))


def refresh_issuer(authority: Authority, name: str) -> None:
    """Have the keys of a trusted issuer fetched anew; see `federation.refresh_issuer`.

    :raises DeniedError: the caller may not.
    :raises NotFoundError: there is none of this name.
    """
    check_changing_issuers(authority)
    federation.refresh_issuer(authority.realm, federation.get_issuer(authority.realm, name))


def visible_rule(authority: Authority, name: str) -> FederationRule:
    """Return a rule that the caller may see, who sees its application.

    :raises NotFoundError: there is none that the caller may see.
    """
    rule = federation.get_rule(authority.realm, name)
    if not rules_of_applications.sees(authority, rule.application):
        raise NotFoundError(Sentence("{Realm} has no federation rule {name!r}.", realm=authority.realm.name, name=name[:80]))
    return rule


def create_rule(authority: Authority, name: str, sheet: FederationRuleSheet) -> FederationRule:
    """Have assertions admit an application that the caller may manage; see `federation.create_rule`.

    Who makes a rule acts by it as the application, as who makes a secret does. So it carries what the application holds now.

    :raises DeniedError: the caller may not.
    """
    application = _manageable(authority, sheet.application)
    frozen = frozen_for(authority, applications.holder_of(application))
    return federation.create_rule(authority.realm, name, sheet, frozen=frozen)


def update_rule(authority: Authority, name: str, sheet: FederationRuleSheet) -> FederationRule:
    """Change a rule of an application that the caller may manage; see `federation.update_rule`.

    :raises DeniedError: the caller may not.
    :raises NotFoundError: there is none of this name.
    """
    rule = federation.get_rule(authority.realm, name)
    application = _manageable(authority, rule.application.name)
    frozen = frozen_for(authority, applications.holder_of(application), rule.frozen)
    federation.update_rule(authority.realm, rule, sheet, frozen=frozen)
    return rule


def delete_rule(authority: Authority, name: str) -> None:
    """Delete a rule of an application that the caller may manage.

    :raises DeniedError: the caller may not.
    :raises NotFoundError: there is none of this name.
    """
    rule = federation.get_rule(authority.realm, name)
    _manageable(authority, rule.application.name)
    federation.delete_rule(authority.realm, rule)


def check_making_rules(authority: Authority) -> None:
    """See that the caller may make rules of any application.

    :raises DeniedError: they may not.
    """
    authority.require(rules_of_applications.WRITE)


def check_listing(authority: Authority, application: str = "") -> None:
    """See that the caller may list the rules of the realm, or those of one application.

    :raises DeniedError: the caller may not see all applications of the realm.
    :raises NotFoundError: there is no such application that the caller may see.
    """
    if application:
        rules_of_applications.visible(authority, application)
    else:
        authority.require(rules_of_applications.READ)


def can_list_people(authority: Authority) -> bool:
    """Tell whether the caller may see whom the subjects of trusted issuers stand for: who sees the issuers, and all users."""
    return authority.can(READ) and authority.can(USERS_READ)


def check_listing_people(authority: Authority) -> None:
    """See that the caller may see whom the subjects of trusted issuers stand for.

    :raises DeniedError: they may see neither the issuers of the realm nor its users.
    """
    check_reading(authority)
    authority.require(USERS_READ)


def linked_person(authority: Authority, uid: str) -> FederatedPerson:
    """Return the link of a subject that the caller may undo.

    :raises DeniedError: the caller may not decide whose word counts.
    :raises NotFoundError: there is no such link.
    """
    check_changing_issuers(authority)
    return federation.get_person(authority.realm, uid)


def link_person(authority: Authority, issuer: str, subject: str, user: str) -> FederatedPerson:
    """Say whom the subject of an issuer stands for; see `federation.link_person`.

    :raises DeniedError: the caller may not decide whose word counts.
    """
    check_changing_issuers(authority)
    return federation.link_person(authority.realm, issuer, subject, user)


def unlink_person(authority: Authority, uid: str) -> None:
    """Have the subject of an issuer stand for nobody; see `federation.unlink_person`.

    :raises DeniedError: the caller may not decide whose word counts.
    """
    check_changing_issuers(authority)
    federation.unlink_person(authority.realm, uid)


def can_explain(authority: Authority) -> bool:
    """Tell whether the caller may see what becomes of an assertion: who sees the issuers, and all applications."""
    return authority.can(READ) and authority.can(rules_of_applications.READ)


def check_explaining(authority: Authority) -> None:
    """See that the caller may; see `can_explain`.

    :raises DeniedError: they may not.
    """
    check_reading(authority)
    authority.require(rules_of_applications.READ)


def explain(authority: Authority, assertion: str, client_id: str = "") -> Explanation:
    """Tell what becomes of an assertion, rule by rule and line by line. Nothing of it is kept, and it is not used up.

    :raises DeniedError: the caller may not; see `can_explain`.
    """
    check_explaining(authority)
    known = known_realm(authority.caller.realm.runtime, authority.realm.name)
    if known is None:
        raise NotFoundError(Sentence("There is no {realm} {name!r}.", name=authority.realm.name))
    return federation.explain(known, assertion, client_id=client_id)


def _manageable(authority: Authority, name: str) -> applications.Application:
    if is_admitted(authority):
        raise DeniedError("Whoever was admitted by the word of a trusted issuer cannot decide whom that admits.")
    return rules_of_applications.manageable(authority, name)
