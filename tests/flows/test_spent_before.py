"""A database of before: what was used up there stays so."""

from typing import Any

import alembic.command
import pytest
from sqlalchemy import text

from idp import applications, migrations
from idp.db import db
from tests.factories import Factory, ask, assertion, assertion_form, key_pair
from tests.federation.issuing import github
from tests.federation.test_admission import APP, ask_with, rule, trust
from tests.federation.test_spent_assertions import forget_issuer


@pytest.mark.parametrize("maker", ["make", "pg_make"])
def test_what_was_used_up_before_the_upgrade_stays_so(request: Any, maker: str) -> None:
    make: Factory = request.getfixturevalue(maker)
    client, hub, (key, jwks) = make.app.test_client(), github(), key_pair()
    issuer = make.app.extensions["realmgate"].settings.issuer("acme")
    make.application("deployer")
    trust(make, hub)
    rule(make, "deployer", APP)
    make.application("builder", secret=False, jwks=jwks)
    shown = hub.sign(aud=issuer)
    own = assertion_form(assertion(key, "builder", issuer), grant_type="client_credentials")
    assert ask_with(client, shown).status_code == 200
    assert ask(client, "token", own).status_code == 200
    with make.app.app_context(), db.engine.begin() as connection:
        config = migrations.alembic_config()
        config.attributes["connection"] = connection
        alembic.command.downgrade(config, "0022")
        for table in ("used_foreign_assertion", "used_assertion"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 1
        migrations.upgrade(connection)
        assert migrations.drift(connection) == []
    forget_issuer(make)
    trust(make, hub)
    rule(make, "deployer", APP)
    make.change(applications.delete_application, "builder")
    make.application("builder", secret=False, jwks=jwks)
    assert ask_with(client, shown).status_code == 401
    assert ask(client, "token", own).status_code == 401
    assert ask_with(client, hub.sign(aud=issuer)).status_code == 200
