"""The image, without what makes images: its tree is built and run with a root of its own, as any user, with nothing else in it."""

import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from idp.settings import Settings
from tests.namespaces import namespaces_missing
from tests.serving import IDP, PROJECT, Server, free_port, send, wait_until

CONTAINERFILE = (PROJECT / "deploy" / "Containerfile").read_text()
SOMEBODY = 1_000_870_000
"""A user as OpenShift chooses them: this machine knows nothing of it."""
PLACE = "/opt/realmgate"

ENTER = """\
set -eu
root=$1 user=$2; shift 3
mount --bind "$root" "$root"
while read -r from; do mount --bind "$from" "$root$from"; mount -o remount,bind,ro "$root$from"; done < "$root.libraries"
while read -r from to; do mount --bind "$from" "$root$to"; mount -o remount,bind,ro "$root$to"; done < "$root.read-only"
while read -r from to; do mount --bind "$from" "$root$to"; done < "$root.devices"
mount -t tmpfs -o mode=0770,uid=0,gid=0 none "$root/var/lib/realmgate"
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$user:0" "$root" /opt/realmgate/bin/idp "$@"
"""
"""Makes the file system of a container and goes into it: a read-only root, a data folder of group 0, the image's entry point."""


def load(path: str) -> ModuleType:
    """Import a script of deploy/."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, PROJECT / "deploy" / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Image:
    """The tree of the image, and the root that it is run in."""

    tree: Path
    bytes: int
    root: Path


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Build the wheel and the tree as the Containerfile does."""
    if missing := namespaces_missing():
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("image")
    wheel = subprocess.run(
        [sys.executable, PROJECT / "deploy/build_wheel.py", folder / "dist"], check=True, capture_output=True, text=True
    ).stdout.strip()
    interpreter = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    built = [sys.executable, PROJECT / "deploy/image/build_tree.py", wheel, folder / "tree", interpreter]
    subprocess.run(built, check=True)
    root = folder / "root"
    for place in ("opt/realmgate", "var/lib/realmgate", "etc/realmgate/realms", "proc", "dev", sys.base_prefix[1:]):
        (root / place).mkdir(parents=True, exist_ok=True)
    devices = [Path(f"/dev/{name}") for name in ("null", "urandom")]
    for file in (libraries := sorted(needed(folder / "tree", interpreter))) + devices:
        if not file.is_relative_to(sys.base_prefix):
            (root / file.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
            (root / file.relative_to("/")).touch()
    libraries = [file for file in libraries if not file.is_relative_to(sys.base_prefix)]
    (folder / "root.libraries").write_text("".join(f"{file}\n" for file in libraries))
    read_only = {folder / "tree": PLACE, sys.base_prefix: sys.base_prefix, PROJECT / "realms": "/etc/realmgate/realms"}
    (folder / "root.read-only").write_text("".join(f"{there} {here}\n" for there, here in read_only.items()))
    (folder / "root.devices").write_text("".join(f"{each} {each}\n" for each in ("/proc", *devices)))
    for place in root.rglob("*"):  # whatever the umask of this process is
        if place.is_dir():
            place.chmod(0o755)
    root.chmod(0o755)
    return Image(folder / "tree", load("image/build_tree.py").weigh(folder / "tree"), root)


def needed(tree: Path, interpreter: Path) -> set[Path]:
    """Return the shared libraries that Python and the tree load from the system: what a base image has."""
    dynamic = (Path(sys.base_prefix) / "lib" / f"python3.{sys.version_info.minor}" / "lib-dynload").glob("*.so")
    found = set()
    for binary in (interpreter, *dynamic, *tree.rglob("*.so")):
        listed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout
        found |= {Path(path) for path in re.findall(r"(/\S+) \(0x", listed)}
    return {path for path in found if not path.resolve().is_relative_to(tree)}


@contextlib.contextmanager
def running(image: Image, user: int) -> Iterator[Server]:
    """Run the image's entry point, and end it."""
    server = Server(
        image.tree.parent / "unused", within=["unshare", "--mount", "sh", "-c", ENTER, "sh", str(image.root), str(user)]
    )
    port = str(free_port())
    server.settings |= {"IDP_HOST": "0.0.0.0", "IDP_DATA_DIR": "/var/lib/realmgate", "IDP_REALMS_DIR": "/etc/realmgate/realms"}
    server.settings |= {"IDP_MANAGEMENT_PORT": port, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": "", "HOME": "/"}
    try:
        yield server.start()
    finally:
        server.stop()


def test_the_image_runs_as_anybody_with_a_read_only_root_and_nothing_but_python_in_it(image: Image) -> None:
    assert not [path for path in image.root.rglob("*") if path.name in {"sh", "bash", "dash", "busybox", "env", "ldconfig"}]
    assert IDP  # what Server passes on to the surroundings, which leave it out
    with running(image, SOMEBODY) as server:
        assert server.process is not None
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        assert re.search(rf"^Uid:\s+{SOMEBODY}\s+{SOMEBODY}\s", status, re.MULTILINE)
        assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
        said = "".join(server.output)
        command = re.search(r"client_id=([\w-]+).*?client_secret=(idp_cs_\w+)", said, re.DOTALL)
        assert command is not None, said
        token = server.token({"client_id": command[1], "client_secret": command[2]})
        assert token.status == 200, token.body
        assert token.json["access_token"].count(".") == 2
        metrics = f"http://127.0.0.1:{server.settings['IDP_MANAGEMENT_PORT']}/metrics"
        assert wait_until(lambda: b"realmgate_tokens_issued_total" in send(metrics).body, "the metrics")
        # what was trimmed is not missed: style sheet of the console, pages in another language, the description of the API
        page = send(f"{server.url}/console/sign-in").body.decode()
        for path in re.findall(r'(?:href|src)="(/console/assets/[^"]+)"', page):
            assert send(server.url + path).status == 200, path
        german = send(f"{server.issuer()}/protocol/openid-connect/auth", headers={"Accept-Language": "de"})
        assert b'lang="de"' in german.body
        assert send(f"{server.url}/docs").status == 200
        made = json.loads(send(f"{server.url}/health/ready").body)
        assert made["status"] == "UP"
    assert "Traceback" not in "".join(server.output)


def test_the_tree_is_small_and_has_what_was_locked(image: Image) -> None:
    print(f"{image.bytes / 1e6:.1f} MB: the server, its dependencies and their compiled modules; not the base image")
    assert image.bytes <= load("image/build_tree.py").MOST
    locked = set(re.findall(r"^([a-z0-9_.-]+)==([^ ;]+)", (PROJECT / "requirements/server.txt").read_text(), re.MULTILINE))
    there = {tuple(path.name.removesuffix(".dist-info").split("-")) for path in image.tree.glob("*.dist-info")}
    names = {(name.lower().replace("_", "-").replace(".", "-"), version) for name, version in there}
    assert "setuptools" not in {name for name, _ in names}
    assert names - {("realmgate", version_of_the_project())} <= locked


def test_the_tree_still_speaks_every_language_of_the_pages(image: Image) -> None:
    program = "from idp.web.languages import codes, language; print(*(language(code).days(30) for code in codes()), sep='|')"
    alone = {"PYTHONPATH": str(image.tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}", "-S", "-P", "-c", program]
    said = subprocess.run(command, env=alone, capture_output=True, text=True, check=True, cwd="/")
    assert said.stdout == "30 days|30 Tage\n"


def version_of_the_project() -> str:
    """Return the version of the package."""
    from idp import __version__

    return __version__


def test_the_containerfile_does_what_was_tried() -> None:
    build, final = CONTAINERFILE.split("FROM ${BASE_IMAGE}")
    copied = re.findall(r"^COPY ([\w./*-]+) ", build, re.MULTILINE)
    assert all(list(PROJECT.glob(each)) or each.startswith("dist/") for each in copied)
    assert f"python deploy/image/build_tree.py dist/realmgate-*.whl /image{PLACE} " in build
    assert "RUN" not in final, "there is no shell in the image"
    user = re.search(r"^USER (\d+):0$", final, re.MULTILINE)
    assert user is not None
    assert int(user[1]) > 0
    assert f'ENTRYPOINT ["{PLACE}/bin/idp"]' in final
    minor = re.findall(r"python:3\.(\d+)-slim-(\w+)", build)
    assert minor == [("13", "trixie")], "what python3-debian13 has"
    assert "python3-debian13" in build
    for name in re.findall(r"\bIDP_(\w+)=", final):
        assert name.lower() in Settings.model_fields


def test_nothing_of_the_image_is_found_by_a_path_of_this_machine(image: Image) -> None:
    for path in image.tree.rglob("*.py[c]"):
        assert os.fsencode(str(image.tree)) not in path.read_bytes(), path
