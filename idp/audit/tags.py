"""What can be recorded: one tag for each kind of act, `source:subject:action`. Free text is not possible."""

from enum import StrEnum
from typing import Self


class Tag(StrEnum):
    """The acts of the audit trail, grouped by subject, each with the kinds of what it can be done to.

    A search by kind reads the events of the tags of that kind, by the index on tags; see `event_listing`.
    """

    kinds: frozenset[str]
    """What its targets, `<kind>:<name>`, can be."""

    def __new__(cls, value: str, *kinds: str) -> Self:
        """Make a tag of what it is written as, and of the kinds of its targets."""
        tag = str.__new__(cls, value)
        tag._value_, tag.kinds = value, frozenset(kinds)
        return tag

    SERVER_SETUP = "system:server:setup", "server"
    SERVER_BACKUP = "admin:server:backup", "server"
    SERVER_RESTORE = "admin:server:restore", "realm", "server"

    EVENTS_LOST = "system:events:lost", "events"

    REALM_CREATE = "admin:realm:create", "realm"
    REALM_UPDATE = "admin:realm:update", "realm"
    REALM_APPROVE = "admin:realm:approve", "realm"
    REALM_DEACTIVATE = "admin:realm:deactivate", "realm"
    REALM_ACTIVATE = "admin:realm:activate", "realm"
    REALM_DELETE = "admin:realm:delete", "realm"
    REALM_RESTORE = "admin:realm:restore", "realm"
    REALM_SIGN_UP = "user:realm:sign-up", "realm"
    REALM_PURGE = "system:realm:purge", "realm"

    AUDIT_READ = "admin:audit:read", "realm", "server"
    LIST_EXPORT = "user:list:export", "realm"
    AUDIT_CUT = "system:audit:cut", "server"

    ROLE_CREATE = "admin:role:create", "role"
    ROLE_UPDATE = "admin:role:update", "role"
    ROLE_DELETE = "admin:role:delete", "role"

    PROJECT_CREATE = "admin:project:create", "project"
    PROJECT_UPDATE = "admin:project:update", "project"
    PROJECT_DELETE = "admin:project:delete", "project"

    GRANT_CREATE = "admin:grant:create", "user", "application", "group"
    GRANT_UPDATE = "admin:grant:update", "user", "application", "group"
    GRANT_DELETE = "admin:grant:delete", "user", "application", "group"

    APPLICATION_CREATE = "admin:application:create", "application"
    APPLICATION_UPDATE = "admin:application:update", "application"
    APPLICATION_DELETE = "admin:application:delete", "application"

    TRUSTED_ISSUER_CREATE = "admin:trusted-issuer:create", "trusted-issuer"
    TRUSTED_ISSUER_UPDATE = "admin:trusted-issuer:update", "trusted-issuer"
    TRUSTED_ISSUER_DELETE = "admin:trusted-issuer:delete", "trusted-issuer"

    FEDERATION_RULE_CREATE = "admin:federation-rule:create", "application"
    FEDERATION_RULE_UPDATE = "admin:federation-rule:update", "application"
    FEDERATION_RULE_DELETE = "admin:federation-rule:delete", "application"
    FEDERATED_PERSON_LINK = "admin:federated-person:link", "user"
    FEDERATED_PERSON_UNLINK = "admin:federated-person:unlink", "user"
    FEDERATION_RULE_MISS = "client:federation-rule:miss", "application"

    CLIENT_DOCUMENT_TAKE = "client:client-document:take", "application"

    REGISTRATION_TOKEN_CREATE = "admin:registration-token:create", "registration-token"
    REGISTRATION_TOKEN_REVOKE = "admin:registration-token:revoke", "registration-token"

    SECRET_CREATE = "admin:secret:create", "application"
    SECRET_UPDATE = "admin:secret:update", "application"
    SECRET_RETIRE = "admin:secret:retire", "application"
    SECRET_USE_UP = "client:secret:use-up", "application"

    USER_CREATE = "admin:user:create", "user"
    USER_UPDATE = "admin:user:update", "user"
    USER_DELETE = "admin:user:delete", "user"
    USER_INVITE = "admin:user:invite", "user"
    USER_ACTIVATE = "user:account:activate", "user"

    ADDRESS_CHANGE_START = "user:email:change-start", "user"
    ADDRESS_VERIFY = "user:email:verify", "user"

    PASSWORD_CHANGE = "user:password:change", "user"
    PASSWORD_RESET = "user:password:reset", "user"
    PASSWORD_USE = "user:password:use", "user"
    PASSWORD_RESET_START = "user:password:reset-start", "user"

    GROUP_CREATE = "admin:group:create", "group"
    GROUP_UPDATE = "admin:group:update", "group"
    GROUP_DELETE = "admin:group:delete", "group"

    SIGN_IN_REFUSE = "user:sign-in:refuse", "user"
    SESSION_START = "user:session:start", "session"
    SESSION_REFRESH = "user:session:refresh", "session"
    SESSION_END = "user:session:end", "session", "user"
    SESSION_REPLAY = "user:session:replay", "session"

    API_KEY_CREATE = "user:api-key:create", "api-key"
    API_KEY_UPDATE = "user:api-key:update", "api-key"
    API_KEY_ROTATE = "user:api-key:rotate", "api-key"
    API_KEY_REVOKE = "user:api-key:revoke", "api-key"
    API_KEY_DELETE = "user:api-key:delete", "api-key"
    API_KEY_REPORT = "user:api-key:report-leaked", "api-key"
    API_KEY_USE = "client:api-key:use", "api-key"
    API_KEY_EXCHANGE = "client:api-key:exchange", "api-key"
    API_KEY_REFUSE = "client:api-key:refuse", "api-key"

    PERSONAL_TOKEN_CREATE = "user:personal-token:create", "personal-token"
    PERSONAL_TOKEN_DELETE = "user:personal-token:delete", "personal-token"

    SIGNAL_STREAM_CREATE = "client:signal-stream:create", "application"
    SIGNAL_STREAM_UPDATE = "client:signal-stream:update", "application"
    SIGNAL_STREAM_DELETE = "client:signal-stream:delete", "application"
    SIGNAL_STREAM_END = "system:signal-stream:end", "application"

    PROTECTED_API_UPDATE = "admin:protected-api:update", "protected-api"

    AUTHORIZATION_END = "user:authorization:end", "authorization"
    AUTHORIZATION_REPLAY = "client:authorization:replay", "authorization"
    CONSENT_GIVE = "user:consent:give", "application"
    CONSENT_TAKE_BACK = "user:consent:take-back", "application"
    DEVICE_APPROVE = "user:device:approve", "device"
    DEVICE_REFUSE = "user:device:refuse", "device"

    TOKEN_CODE = "client:token:sign-in", "token"
    TOKEN_REFRESH = "client:token:refresh", "token"
    TOKEN_EXCHANGE = "client:token:exchange", "token"

    KEYSET_CREATE = "admin:keyset:create", "keyset"
    KEYSET_UPDATE = "admin:keyset:update", "keyset"
    KEYSET_REPLACE = "admin:keyset:replace", "keyset"
    KEYSET_DELETE = "admin:keyset:delete", "keyset"

    LEASE_TAKE = "client:lease:take", "keyset"
    LEASE_GIVE_BACK = "client:lease:end", "keyset"
    LEASE_END = "admin:lease:end", "keyset"
    LEASE_DIE = "system:lease:end", "keyset"

    MASTER_KEY_ROTATE = "admin:master-key:rotate", "master-key"
    MASTER_KEY_RETIRE = "admin:master-key:retire", "master-key"
    MASTER_KEY_WRAP = "admin:master-key:wrap", "master-key"

    KEY_CREATE = "admin:key:create", "key"
    KEY_ROTATE = "admin:key:rotate", "key"
    KEY_REVOKE = "admin:key:revoke", "key"

    TOKEN_ISSUE = "client:token:issue", "token"
    TOKEN_REFUSE = "client:token:refuse", "application"
    TOKEN_REVOKE = "client:token:revoke", "token"
