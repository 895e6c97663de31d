"""The command that fetches a token, as it is shown to whoever has just made an application."""


def curl_command(issuer: str, client_id: str, plain_secret: str) -> str:
    """Return the command for curl, ready to be pasted."""
    lines = (
        f"curl -X POST '{issuer}/protocol/openid-connect/token' \\",
        "  --header 'Content-Type: application/x-www-form-urlencoded' \\",
        "  --data-urlencode 'grant_type=client_credentials' \\",
        "  --data-urlencode 'scope=openid' \\",
        "  --data-urlencode 'response_type=id_token' \\",
        f"  --data-urlencode 'client_id={client_id}' \\",
        f"  --data-urlencode 'client_secret={plain_secret}'",
    )
    return "\n".join(lines)
