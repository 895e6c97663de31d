"""What can be recorded: one tag for each kind of act, `source:subject:action`. Free text is not possible."""

from enum import StrEnum


class Tag(StrEnum):
    """The acts of the audit trail, grouped by subject."""

    SERVER_SETUP = "system:server:setup"
    SERVER_BACKUP = "admin:server:backup"
    SERVER_RESTORE = "admin:server:restore"

    EVENTS_LOST = "system:events:lost"

    REALM_CREATE = "admin:realm:create"
    REALM_UPDATE = "admin:realm:update"
    REALM_APPROVE = "admin:realm:approve"
    REALM_DEACTIVATE = "admin:realm:deactivate"
    REALM_ACTIVATE = "admin:realm:activate"
    REALM_DELETE = "admin:realm:delete"
    REALM_RESTORE = "admin:realm:restore"
    REALM_SIGN_UP = "user:realm:sign-up"
    REALM_PURGE = "system:realm:purge"

    AUDIT_READ = "admin:audit:read"
    AUDIT_CUT = "system:audit:cut"

    ROLE_CREATE = "admin:role:create"
    ROLE_UPDATE = "admin:role:update"
    ROLE_DELETE = "admin:role:delete"

    PROJECT_CREATE = "admin:project:create"
    PROJECT_UPDATE = "admin:project:update"
    PROJECT_DELETE = "admin:project:delete"

    GRANT_CREATE = "admin:grant:create"
    GRANT_UPDATE = "admin:grant:update"
    GRANT_DELETE = "admin:grant:delete"

    APPLICATION_CREATE = "admin:application:create"
    APPLICATION_UPDATE = "admin:application:update"
    APPLICATION_DELETE = "admin:application:delete"

    REGISTRATION_TOKEN_CREATE = "admin:registration-token:create"
    REGISTRATION_TOKEN_REVOKE = "admin:registration-token:revoke"

    SECRET_CREATE = "admin:secret:create"
    SECRET_UPDATE = "admin:secret:update"
    SECRET_RETIRE = "admin:secret:retire"
    SECRET_USE_UP = "client:secret:use-up"

    USER_CREATE = "admin:user:create"
    USER_UPDATE = "admin:user:update"
    USER_DELETE = "admin:user:delete"
    USER_INVITE = "admin:user:invite"
    USER_ACTIVATE = "user:account:activate"

    ADDRESS_CHANGE_START = "user:email:change-start"
    ADDRESS_VERIFY = "user:email:verify"

    PASSWORD_CHANGE = "user:password:change"
    PASSWORD_RESET = "user:password:reset"
    PASSWORD_USE = "user:password:use"
    PASSWORD_RESET_START = "user:password:reset-start"

    GROUP_CREATE = "admin:group:create"
    GROUP_UPDATE = "admin:group:update"
    GROUP_DELETE = "admin:group:delete"

    SIGN_IN_REFUSE = "user:sign-in:refuse"
    SESSION_START = "user:session:start"
    SESSION_REFRESH = "user:session:refresh"
    SESSION_END = "user:session:end"
    SESSION_REPLAY = "user:session:replay"

    API_KEY_CREATE = "user:api-key:create"
    API_KEY_UPDATE = "user:api-key:update"
    API_KEY_ROTATE = "user:api-key:rotate"
    API_KEY_REVOKE = "user:api-key:revoke"
    API_KEY_DELETE = "user:api-key:delete"
    API_KEY_REPORT = "user:api-key:report-leaked"
    API_KEY_USE = "client:api-key:use"
    API_KEY_EXCHANGE = "client:api-key:exchange"
    API_KEY_REFUSE = "client:api-key:refuse"

    PERSONAL_TOKEN_CREATE = "user:personal-token:create"
    PERSONAL_TOKEN_DELETE = "user:personal-token:delete"

    PROTECTED_API_UPDATE = "admin:protected-api:update"

    AUTHORIZATION_END = "user:authorization:end"
    AUTHORIZATION_REPLAY = "client:authorization:replay"
    CONSENT_GIVE = "user:consent:give"
    CONSENT_TAKE_BACK = "user:consent:take-back"
    DEVICE_APPROVE = "user:device:approve"
    DEVICE_REFUSE = "user:device:refuse"

    TOKEN_CODE = "client:token:sign-in"
    TOKEN_REFRESH = "client:token:refresh"
    TOKEN_EXCHANGE = "client:token:exchange"

    KEYSET_CREATE = "admin:keyset:create"
    KEYSET_UPDATE = "admin:keyset:update"
    KEYSET_REPLACE = "admin:keyset:replace"
    KEYSET_DELETE = "admin:keyset:delete"

    LEASE_TAKE = "client:lease:take"
    LEASE_GIVE_BACK = "client:lease:end"
    LEASE_END = "admin:lease:end"
    LEASE_DIE = "system:lease:end"

    MASTER_KEY_ROTATE = "admin:master-key:rotate"
    MASTER_KEY_RETIRE = "admin:master-key:retire"
    MASTER_KEY_WRAP = "admin:master-key:wrap"

    KEY_CREATE = "admin:key:create"
    KEY_ROTATE = "admin:key:rotate"
    KEY_REVOKE = "admin:key:revoke"

    TOKEN_ISSUE = "client:token:issue"
    TOKEN_REFUSE = "client:token:refuse"
    TOKEN_REVOKE = "client:token:revoke"
