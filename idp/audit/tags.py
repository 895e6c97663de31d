"""What can be recorded: one tag for each kind of act, `source:subject:action`. Free text is not possible."""

from enum import StrEnum


class Tag(StrEnum):
    """The acts of the audit trail, grouped by subject."""

    SERVER_SETUP = "system:server:setup"

    EVENTS_LOST = "system:events:lost"

    REALM_CREATE = "admin:realm:create"
    REALM_UPDATE = "admin:realm:update"

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

    SECRET_CREATE = "admin:secret:create"  # noqa: S105 (a tag, no secret)
    SECRET_UPDATE = "admin:secret:update"  # noqa: S105
    SECRET_RETIRE = "admin:secret:retire"  # noqa: S105
    SECRET_USE_UP = "client:secret:use-up"  # noqa: S105

    KEY_CREATE = "admin:key:create"
    KEY_ROTATE = "admin:key:rotate"
    KEY_REVOKE = "admin:key:revoke"

    TOKEN_ISSUE = "client:token:issue"  # noqa: S105
    TOKEN_REFUSE = "client:token:refuse"  # noqa: S105
    TOKEN_REVOKE = "client:token:revoke"  # noqa: S105
