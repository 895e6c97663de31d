"""What belongs to an installation, and is in no database."""

from pathlib import Path

from idp import trail
from idp.settings import Settings


def belongings(settings: Settings) -> list[tuple[Path, str]]:
    """Return the files and folders that have to be taken along when the machine changes, and what each is."""
    found = [
        (settings.master_key_file, "the master key: without it, nothing encrypted in the database can be decrypted"),
        (trail.memory_file(settings.data_dir), "how far this machine has seen the audit trails"),
        (settings.realms_dir.absolute(), "the realm files"),
        (settings.audit_push_file, "the checkpoints that were pushed"),
        (settings.audit_archive_dir, "what was removed from the audit trails"),
        (settings.smtp_password_file, "the password for the mail server"),
    ]
    pins = [Path(dict(key.attributes)["pin"]) for key in settings.outside.all if key.kind == "pkcs11"]
    found += [(pin, "the PIN of the module that decrypts the master key") for pin in pins]
    return [(path, what) for path, what in found if path is not None and path.exists()]
