"""google-auth's identity pool, unchanged: fetches an access token for a token of the platform, and one more as when that has expired.

    python google_client.py <configuration file> [<scope> ...]

The file is what such programs are given (`type: external_account`). It prints both tokens and when the last expires, as JSON. The
package is found on PYTHONPATH.
"""

import json
import sys

from google.auth.identity_pool import Credentials
from google.auth.transport.requests import Request

credentials = Credentials.from_file(sys.argv[1], scopes=sys.argv[2:] or None)
tokens = []
for _ in range(2):
    credentials.refresh(Request())
    tokens.append(credentials.token)
print(json.dumps({"tokens": tokens, "expiry": credentials.expiry.isoformat(), "valid": credentials.valid}))
