"""The ten questions: each counts what it says, and nothing else."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from idp import access, applications, clock, posture, realms, users
from idp.db import commit, db
from idp.posture import Question
from tests.factories import Factory


@pytest.fixture
def counts(app: Flask) -> Any:
    def count(name: str = "plain") -> dict[Question, int]:
        with app.app_context():
            found = {each.question: each.count for each in posture.answers(realms.get_realm(name), clock.now())}
            db.session.rollback()
        return found

    return count


@pytest.fixture
def plain(make: Factory) -> Factory:
    """A realm with nothing in it."""
    make.realm("plain")
    return make


def test_a_new_realm_has_nothing_to_look_at(plain: Factory, counts: Any) -> None:
    assert set(counts().values()) == {0}
    assert list(counts()) == list(Question)


def test_each_question_counts_what_it_is_about(app: Flask, plain: Factory, counts: Any) -> None:
    for project in ("one", "two", "three", "four"):
        plain.do(lambda realm, project=project: access.create_project(realm, project), "plain")
    plain.application("boss", realm="plain", roles=("administrator",), projects=())
    plain.application("everywhere", realm="plain", roles=(), projects=("one", "two", "three", "four"))
    plain.user("ann@example.test", realm="plain", roles=())
    plain.key("ann@example.test", realm="plain", hours=10)
    found = counts()
    assert found[Question.AUTHENTICATION] == 2
    assert found[Question.PRIVILEGES] == 1
    assert found[Question.ISOLATION] == 1
    assert found[Question.OFFBOARDING] == 0
    with app.app_context():
        realm = realms.get_realm("plain")
        long_ago = clock.now() - timedelta(days=400)
        boss = applications.get_application(realm, "boss")
        boss.created_at = long_ago
        secret = applications.list_secrets(boss)[0]
        secret.created_at, secret.public_part = long_ago, ""
        user = users.get_user(realm, "ann@example.test")
        users.update_user(realm, user, users.UserSheet.of(user).changed({"enabled": False}))
        realms.update_realm(realm, realms.RealmSettings.of(realm).changed({"key_rotation_days": 0}))
        for number in range(3):
            applications.add_secret(realm, boss, f"more-{number}", applications.SecretSheet())
        commit()
    found = counts()
    assert found[Question.OFFBOARDING] == 2, "an application that nobody uses, and the key of somebody who is disabled"
    assert found[Question.LEAKAGE] == 1
    assert found[Question.LONG_LIVED] == 1
    assert found[Question.CONFIGURATION] == 1
    assert found[Question.REUSE] == 1
    assert found[Question.THIRD_PARTIES] == 0
