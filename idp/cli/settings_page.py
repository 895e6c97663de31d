"""What `idp settings` says of each setting."""

from typing import Any

from idp.settings import NAME, Settings, Source, places


def names() -> list[str]:
    """Return the names of all settings, in the order of the page."""
    return list(Settings.model_fields)


def meaning(name: str) -> str:
    """Return what a setting does, in one paragraph."""
    return " ".join((Settings.model_fields[name].description or "").split())


def about_file(settings: Settings) -> str:
    """Say which file was read, or where one was looked for."""
    if settings.file is not None:
        return f"Settings are read from {settings.file}, and from environment variables, which win over it."
    looked = [str(path.parent) for path, is_local in places() if not is_local]
    nowhere = f"There is no {NAME} in this folder or above it, nor in {' or '.join(looked)}."
    return f"Settings are read from environment variables. {nowhere}"


def facts_of(settings: Settings, name: str) -> dict[str, Any]:
    """Return a setting for programs: its value without what may be secret, and where that comes from."""
    value = getattr(settings, name)
    plain = value if value is None or isinstance(value, bool | int | float) else settings.show(name)
    origin = settings.origin(name)
    facts = {"name": name, "variable": f"IDP_{name.upper()}", "value": plain, "source": origin.source.value}
    if origin.source in {Source.FILE, Source.DATA_FOLDER}:
        facts["path"] = origin.place
    if origin.line:
        facts["line"] = origin.line
    return facts


def reference_page() -> str:
    """Return docs/settings.md, made from the docstrings under the fields."""
    lines = [_BEGINNING]
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = "see below" if default in ("", ()) or str(default) == "." else f"`{default}`"
        lines += [f"## `IDP_{name.upper()}`", "", meaning(name), ""]
        if shown != "see below":
            lines += [f"Default: {shown}.", ""]
    return "\n".join(lines).rstrip() + "\n"


_BEGINNING = """\
# Settings

Environment variables, or lines of a file `realmgate.toml`: the same names in lower case, without `IDP_`. They are read once at
start. A wrong value stops the start with a sentence that names the setting and where it is set. `idp settings` shows the values
in force and where each comes from, without what may be secret in them; `idp settings --json` shows the same to programs. This
page is made by `idp settings --markdown`.

What wins, from the top:

1. an option of the command, such as `--port`;
2. the environment variable; an empty one counts as not set;
3. the file;
4. for the public URL, the host and the port: what the data folder remembers of the last time that it was served
   (`last-served.json`), so that commands in a second terminal name the right server. `idp serve` itself does not go by it;
5. the default.

## The file

```toml
# realmgate.toml
public_url = "https://id.example.com"
port = 8081
data_dir = "data"                               # relative to this file
trusted_proxies = ["10.0.0.5", "192.168.0.0/16"]
```

One file is read, the first of these:

1. what `--config FILE` or `IDP_CONFIG` names (`/dev/null` for none);
2. `realmgate.toml` in the current folder, or the nearest folder above it;
3. `$XDG_CONFIG_HOME/realmgate/realmgate.toml`, by default `~/.config/realmgate/realmgate.toml`;
4. `/etc/realmgate/realmgate.toml`.

Relative paths in it are relative to the file. Where the file is in the current folder or above, the folders `var` and `realms`,
if it names no others, are beside it: commands then work from every folder below. A name that is not a setting is an error.

Whoever can write the file decides which database and which keys the server uses. So a file that others can write (group or
everybody) is refused, whoever names it; and one that was found (2 to 4) is refused unless it, and every link on the way to it,
is this user's own or root's. Name it with `--config` if you trust it all the same. A file with a password in it should be
readable by its owner only; `idp doctor` says so where it is not.

The command line also reads `IDP_REALM` (the default of `--realm`) and `IDP_CLIENT_SECRET` (for `idp token`) from the environment.
"""
