"""Lists as files, as a browser takes them: the page stays, and goes on working."""

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import Console

BASE = "/console/realms/acme"


def test_what_is_picked_is_taken_as_a_file_and_the_page_goes_on(console: Console, tmp_path: Path) -> None:
    console.make.user("ann@example.test", roles=("administrator",))
    for name in ("bot-a", "bot-b", "bot-c"):
        console.make.application(name, roles=())
    page = console.sign_in(console.visitor(accept_downloads=True))
    page.goto(f"{BASE}/applications?search=bot-&columns=name")
    with page.expect_download() as whole:
        page.get_by_role("link", name="Export CSV").click()
    whole.value.save_as(tmp_path / "whole.csv")
    assert (tmp_path / "whole.csv").read_text().splitlines() == ["Name", "bot-a", "bot-b", "bot-c"]
    assert whole.value.suggested_filename.startswith("acme-applications-")
    page.get_by_role("checkbox", name="Select bot-a").check()
    page.get_by_role("checkbox", name="Select bot-c").check()
    for _ in range(2):
        with page.expect_download() as picked:
            page.get_by_role("button", name="Export selected").click()
        picked.value.save_as(tmp_path / "picked.csv")
        assert (tmp_path / "picked.csv").read_text().splitlines() == ["Name", "bot-a", "bot-c"]
    page.get_by_role("button", name="Rotate what is selected").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2 applications")
    page.get_by_role("button", name="Rotate").click()
    with page.expect_download() as kept:
        page.get_by_role("button", name="Download secrets.env").click()
    kept.value.save_as(tmp_path / "secrets.env")
    lines = (tmp_path / "secrets.env").read_text().splitlines()
    assert [line.partition("=")[0] for line in lines] == ["BOT_A_SECRET", "BOT_C_SECRET"]
    assert console.violations == []
