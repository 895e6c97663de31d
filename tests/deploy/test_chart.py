"""The chart, as far as that is seen without Helm; `make charts` renders it and asks what an API server would say."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from idp import __version__
from idp.settings import Settings
from tests.serving import PROJECT

CHART = PROJECT / "deploy" / "helm" / "realmgate"
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
TEMPLATES = {path.name: path.read_text() for path in (CHART / "templates").iterdir()}
INSIDE = {"gateway": "proxies in the cluster ask the Service", "health": "/health/live alone is for the world"}
SET_BY_THE_CHART = {"port", "management_port", "data_dir", "realms_dir", "master_key_file", "public_url"}


def test_versions_are_those_of_the_program() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_default_values_are_what_the_schema_allows_but_for_the_url() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    (missing,) = jsonschema.Draft7Validator(SCHEMA).iter_errors(values)
    assert missing.json_path == "$.publicUrl"
    assert values.keys() == SCHEMA["properties"].keys() - {"global"}
    assert set(values["secrets"].values()) == {""}, "there is no default for a secret"


def test_every_setting_can_be_set_and_those_that_hold_passwords_in_the_secret_only() -> None:
    described = SCHEMA["properties"]["settings"]["properties"]
    assert described.keys() == Settings.model_fields.keys() - SET_BY_THE_CHART
    assert {name for name, each in described.items() if "not" in each} == set(Settings.confidential())
    for name in set(re.findall(r"name: IDP_([A-Z_]+),", TEMPLATES["_helpers.tpl"])) - {"CONFIG"}:
        assert name.lower() in SET_BY_THE_CHART


def test_limits_of_settings_are_those_of_the_server() -> None:
    fields = Settings.model_json_schema()["properties"]
    for name, each in SCHEMA["properties"]["settings"]["properties"].items():
        for limit in ("minimum", "maximum"):
            assert each.get(limit) == fields[name].get(limit), name


def test_the_ingress_has_every_path_of_the_server_but_those_for_the_inside() -> None:
    paths = [rule.split()[1] for rule in json.loads((PROJECT / "tests/vectors/url_map.json").read_text())]
    rules = {path.split("/")[1] for path in paths if path.startswith("/")}
    (listed,) = re.findall(r"range list (.+?) }}", TEMPLATES["ingress.yaml"])
    shown = set(re.findall(r'"/([^"]+)"', listed))
    assert shown - {"health/live"} == rules - INSIDE.keys() - {""}


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_probes_ask_what_there_is(path: str) -> None:
    assert f"GET {path}" in json.loads((PROJECT / "tests/vectors/url_map.json").read_text())
    assert path in SCHEMA["properties"]["readinessProbe"]["properties"]["path"]["enum"]
    assert {Path(each).name for each in re.findall(r"path: (/health/\w+)", TEMPLATES["deployment.yaml"])} == {"live"}
