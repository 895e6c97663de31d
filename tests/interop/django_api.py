"""Serves the files of docs/integrations/django.md, by a clock that is ahead by the seconds in the file that CLOCK names.

python django_api.py <folder> <port> <authentication class>
"""

import os
import sys
import time
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from types import SimpleNamespace

import django
import jwt.api_jwt
from django.conf import settings
from django.core.management import call_command

folder, port, authentication = sys.argv[1:]
clock = Path(os.environ["CLOCK"])
real_time = time.time


def now() -> float:
    return real_time() + int(clock.read_text())


def now_in(tz: tzinfo = UTC) -> datetime:
    return datetime.fromtimestamp(now(), tz)


time.time = now
jwt.api_jwt.datetime = SimpleNamespace(now=now_in)  # type: ignore[misc, assignment]

sys.path.insert(0, folder)
import mozilla_settings  # noqa: E402 (once Django is set up)
import settings as page  # noqa: E402 (once Django is set up)

rest_framework = page.REST_FRAMEWORK | {"DEFAULT_AUTHENTICATION_CLASSES": [authentication]}
settings.configure(
    **{name: value for module in (page, mozilla_settings) for name, value in vars(module).items() if name.isupper()}
    | {"REST_FRAMEWORK": rest_framework},
    SECRET_KEY="of a test",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="urls",
    DEBUG_PROPAGATE_EXCEPTIONS=True,  # what fails is in the output
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(folder) / "db.sqlite3"}},
)
django.setup()
call_command("migrate", verbosity=0)
call_command("runserver", f"127.0.0.1:{port}", "--noreload", "--skip-checks")
