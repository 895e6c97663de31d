# mypy: ignore-errors
"""django-oauth-toolkit with the least that the measured requests need. Runs in an environment of its own, see `tests.bench.peers`.

`python django_oauth_toolkit.py <secret>` makes the database with two applications: one whose secret is hashed as a password, as is
the default, and one whose secret is kept as it is. `django_oauth_toolkit:application` serves.
"""

import os
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(Path(__file__).with_name("peer.sqlite")),
            "CONN_MAX_AGE": None,
            "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;", "transaction_mode": "IMMEDIATE"},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    OAUTH2_PROVIDER={"SCOPES": {"read": "Read", "introspection": "Introspect"}, "ACCESS_TOKEN_EXPIRE_SECONDS": 36_000},
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.urandom(32).hex(),
    USE_TZ=True,
)
django.setup()
urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]

if __name__ == "__main__":
    from django.core.management import call_command
    from oauth2_provider.models import get_application_model

    call_command("migrate", verbosity=0)
    for name, hashed in (("hashed", True), ("plain", False)):
        get_application_model().objects.create(
            client_id=name,
            client_secret=sys.argv[1],
            hash_client_secret=hashed,
            client_type="confidential",
            authorization_grant_type="client-credentials",
        )
else:
    application = get_wsgi_application()
