"""An outside key in AWS's key management service, or in one that speaks as it does. For `helper` only.

Credentials, region and proxy come from where AWS's own programs take them; the library does not know `AWS_REGION` by itself.
`AWS_ENDPOINT_URL_KMS` names another service.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as UnreachedError

from idp.outside_keys.helper import RefusedError, UnavailableError, Wrapped, limit

ANSWER_WITHIN = 5
"""Seconds that the service may take to accept a connection, and then to answer."""

GIVE_UP_AFTER = 20
"""Seconds for all of it, with finding the credentials."""

_ALGORITHM = "aws-kms"
_PURPOSE = "realmgate"
"""The name under which the encryption context says what it is, for AWS's own log, too."""

_PASSING = {"DependencyTimeoutException", "KMSInternalException", "ThrottlingException", "LimitExceededException"}
"""What the service says when the same may succeed later."""


@contextlib.contextmanager
def open_client(name: str, attributes: dict[str, str]) -> Iterator["_Key"]:
    """Return the key that an `OutsideKey` of this kind names."""
    limit(GIVE_UP_AFTER)
    config = Config(connect_timeout=ANSWER_WITHIN, read_timeout=ANSWER_WITHIN, retries={"total_max_attempts": 1})
    with _errors():
        client = botocore.session.get_session().create_client(
            "kms", region_name=attributes["region"] or os.environ.get("AWS_REGION"), config=config
        )
        yield _Key(client, name.partition(":")[2])


class _Key:
    def __init__(self, client: Any, key: str) -> None:
        self._client = client
        self._key = key

    def wrap(self, plain: bytes, context: str) -> Wrapped:
        """Encrypt. What it was encrypted with is named by its ARN: an alias may be moved."""
        with _errors():
            answer = self._client.encrypt(KeyId=self._key, Plaintext=plain, EncryptionContext={_PURPOSE: context})
        return Wrapped(_ALGORITHM, answer["CiphertextBlob"], f"awskms:{answer['KeyId']}")

    def unwrap(self, wrapped: Wrapped, context: str) -> bytes:
        """Decrypt, with the key that is named beside it: the service would otherwise take any that it finds inside."""
        if wrapped.algorithm != _ALGORITHM:
            raise RefusedError(f"the {context} is encrypted with {wrapped.algorithm}, which this version does not know")
        # an ARN of the same key, such as its replica in another region, wins over what it was encrypted with
        key = self._key if "alias/" not in self._key else wrapped.identity.partition(":")[2]
        with _errors():
            answer = self._client.decrypt(KeyId=key, CiphertextBlob=wrapped.data, EncryptionContext={_PURPOSE: context})
        plain: bytes = answer["Plaintext"]
        return plain


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Have what AWS's library raises become what `helper` knows."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _PASSING or status >= 500:
            raise UnavailableError(f"{code} ({status})") from error
        raise RefusedError(str(error)) from error
    except (HTTPClientError, UnreachedError) as error:
        raise UnavailableError(str(error)) from error
    except BotoCoreError as error:  # no credentials, no region, a file of AWS's that is not right
        raise RefusedError(str(error)) from error
