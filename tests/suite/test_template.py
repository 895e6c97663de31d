"""What every test begins with does not depend on how long the tests have been running."""

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from idp import clock, keys, realms, setup
from idp.app import close_app, create_app
from idp.settings import Settings
from tests.conftest import FrozenClock, copy_template


@pytest.mark.parametrize("hours", [0, 1, 24])
def test_signing_keys_are_as_old_in_the_last_test_as_in_the_first(
    template: Path, tmp_path: Path, hours: int, frozen_clock: FrozenClock
) -> None:
    made_early = tmp_path / "template"
    shutil.copytree(template, made_early)
    with closing(sqlite3.connect(made_early / "realmgate.db")) as connection, connection:
        connection.execute("UPDATE signing_key SET active_from = datetime(active_from, ?)", (f"-{hours} hours",))
    copy_template(made_early, tmp_path / "data")
    app = create_app(Settings.load(data_dir=tmp_path / "data"))
    with app.app_context():
        now = clock.now()
        ages = [now - key.active_from for realm in realms.list_realms() for key in keys.list_keys(realm)]
        assert len(ages) == 4
        assert all(timedelta(minutes=1) <= age < timedelta(seconds=61) for age in ages)
        frozen_clock.advance(days=89.98)
        setup.rotate_keys_and_tidy()
        assert sum(len(keys.list_keys(realm)) for realm in realms.list_realms()) == 4, "none is due yet"
    close_app(app)
