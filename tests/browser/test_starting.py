"""An application without a secret, from the first page to the first token: each text is run as it was copied."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console, shoot
from tests.browser.test_pages import SPILLS
from tests.factories import claims_of
from tests.federation.issuing import github
from tests.interop.test_federation_clients import tokens_of
from tests.serving import PATIENCE

BASE = "/console/realms/acme"
SHELL = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]
"""How a runner of GitHub runs a step that names bash; stricter than what people have at their prompts."""


@pytest.fixture(scope="module")
def console_with_ann(console: Console) -> Console:
    console.make.user("ann@example.test", roles=("administrator",))
    return console


@pytest.fixture
def page(console_with_ann: Console) -> Page:
    return console_with_ann.sign_in(console_with_ann.visitor())


def copied(page: Page, title: str) -> str:
    """Return a text of the page, which is opened for that."""
    details = page.locator("details.snippet", has=page.locator("summary", has_text=title))
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    text = details.locator("pre.copy-source")
    expect(text).to_be_visible()
    return text.inner_text()


def run(folder: Path, command: list[str], **environment: str) -> str:
    """Run a command in a folder, as a program's machine would, with this Python."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_key_pair_is_made_registered_and_fetches_the_first_token(console: Console, page: Page, tmp_path: Path) -> None:
    page.goto(f"{BASE}/new-application")
    page.fill("#name", "night-build")
    page.select_option("#credential", "key")  # which is preselected only while no issuer is trusted
    page.fill("#jwks", run(tmp_path, [*SHELL, copied(page, "New key pair")]))
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="night-build: the first token")).to_be_visible()
    waiting = page.locator("#first-token")
    expect(waiting).to_contain_text("Waiting for its first token")
    shoot(page, "started with a key pair")
    assert Axe().run(page).violations_count == 0, Axe().run(page).generate_report()
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate(SPILLS) == []
    page.set_viewport_size({"width": 1280, "height": 900})
    assert run(tmp_path, [*SHELL, copied(page, "Key pair: curl")]) == "", "a token is not for the terminal"
    expect(waiting).to_contain_text("It works: 1 token fetched")
    expect(waiting).to_have_class("alert alert-success")
    tokens = [json.loads((tmp_path / "token.json").read_text())["access_token"]]
    tokens.append(run(tmp_path, [sys.executable, "-c", copied(page, "Key pair: Python")]).strip())
    assert [claims_of(token)["client_id"] for token in tokens] == ["night-build", "night-build"]
    assert console.violations == []


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="curl or jq is not installed")
def test_a_step_of_a_workflow_fetches_the_first_token(console: Console, page: Page, tmp_path: Path) -> None:
    hub, keys = github(), tmp_path / "hub.json"
    keys.write_text(json.dumps(hub.jwks))
    options = ("--preset", "github", "--key-source", "uploaded", "--jwks", str(keys))
    console.server.idp("federation", "issuers", "create", "--realm", "acme", *options, "hub")
    page.goto(f"{BASE}/new-application")
    page.fill("#name", "deployer")
    page.fill("#lines", "repository_id=4711")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="deployer: the first token")).to_be_visible()
    shoot(page, "started with a trusted issuer")
    step = yaml.safe_load(copied(page, "GitHub Actions"))["steps"][0]
    with tokens_of(hub, "Bearer of-the-runner", "value") as url:
        runner = {"ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-runner"}
        said = run(tmp_path, [*SHELL, step["run"]], GITHUB_ENV=str(tmp_path / "env"), **runner)
        stranger = os.environ | runner | {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "other"}
        refused = subprocess.run([*SHELL, step["run"]], env=stranger, capture_output=True, timeout=PATIENCE, check=False)
    assert refused.returncode != 0, "a step that gets no token fails"
    token = (tmp_path / "env").read_text().strip().removeprefix("TOKEN=")
    assert claims_of(token)["federation"]["rule"] == "deployer"
    assert said.count("::add-mask::") == 2
    expect(page.locator("#first-token")).to_contain_text("It works: 1 token fetched")
    assert console.violations == []
