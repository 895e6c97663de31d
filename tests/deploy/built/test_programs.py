"""The chart as Helm renders it, each object as an API server takes it; and the files of Compose and Envoy as those read them."""

import base64
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from idp.database_url import libpq_parameters
from idp.settings import Settings
from tests.serving import PROJECT

CHART = PROJECT / "deploy" / "helm" / "realmgate"
KUBERNETES = "1.37.2"
"""Whose checks tests/deploy/built/go.mod has."""

URL = {"publicUrl": "https://id.example.com"}
EXISTING: dict[str, Any] = URL | {"secrets": {"existingSecret": "kept-elsewhere"}}
OWN: dict[str, Any] = URL | {
    "secrets": {
        "settings": 'database_url = "postgresql://realmgate:secret@db/realmgate"\n',
        "masterKey": f"abcdefgh:{base64.b64encode(bytes(32)).decode()}\n",
    }
}
EVERYTHING: dict[str, Any] = OWN | {
    "publicUrl": "https://example.com:8443/idp",
    "image": {"repository": "registry.example.com/realmgate", "digest": f"sha256:{'0' * 64}"},
    "imagePullSecrets": [{"name": "registry"}],
    "settings": {"workers": 2, "trusted_proxies": ["10.0.0.0/8", "fd00::/8"], "cache_size": 2_000_000, "access_log": True},
    "realms": {"acme.toml": (PROJECT / "realms/acme.toml").read_text()},
    "autoscaling": {"enabled": True},
    "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "id-example-com", "annotations": {"a/b": "c"}},
    "networkPolicy": {
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
        "monitoringFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "egress": [{"ports": [{"port": 5432}]}],
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "backup": {"enabled": True, "storageClass": "fast"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "podAnnotations": {"d/e": "f"},
    "podLabels": {"team": "identity"},
}
OPENSHIFT: dict[str, Any] = EXISTING | {
    "podSecurityContext": {"runAsNonRoot": True, "runAsUser": None, "runAsGroup": None, "fsGroup": None},
    "backup": {"enabled": True, "existingClaim": "backups"},
}

Render = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def render(programs: Path, tmp_path: Path) -> Render:
    """Return what renders the chart with values."""

    def run(values: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
        file = tmp_path / "values.json"
        file.write_text(json.dumps(values))
        command = [programs / "helm", "template", "id", CHART, "--kube-version", KUBERNETES, "--namespace", "identity"]
        environment = os.environ | {name: str(tmp_path) for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
        return subprocess.run([*command, "--values", file], env=environment, capture_output=True, text=True, check=False)

    return run


def objects_of(rendered: "subprocess.CompletedProcess[str]") -> dict[str, dict[str, Any]]:
    """Return the objects by kind and name, without the release's."""
    assert rendered.returncode == 0, rendered.stderr
    found = [each for each in yaml.safe_load_all(rendered.stdout) if each]
    return {f"{each['kind']}{each['metadata']['name'].removeprefix('id-realmgate')}": each for each in found}


def check(programs: Path, text: str) -> "subprocess.CompletedProcess[str]":
    """Ask what an API server would say."""
    return subprocess.run([programs / "objects"], input=text, capture_output=True, text=True, check=False)


SERVING = {
    "Deployment",
    "Service",
    "Service-management",
    "ServiceAccount",
    "PodDisruptionBudget",
    "NetworkPolicy",
    "NetworkPolicy-all",
}


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        (EXISTING, SERVING | {"Job-migration"}),
        (OWN, SERVING | {"Job-migration", "Secret"}),
        (
            EVERYTHING,
            SERVING | {"Job-migration", "Secret", "ConfigMap-realms", "HorizontalPodAutoscaler", "Ingress", "ServiceMonitor"}
            | {"CronJob-backup", "PersistentVolumeClaim-backup"},
        ),
        (OPENSHIFT, SERVING | {"Job-migration", "CronJob-backup"}),
    ],
    ids=["existing secret", "own secret", "everything", "OpenShift"],
)  # fmt: skip # a case on each line
def test_an_api_server_takes_every_object(programs: Path, render: Render, values: dict[str, Any], kinds: set[str]) -> None:
    rendered = render(values)
    assert objects_of(rendered).keys() == kinds
    checked = check(programs, rendered.stdout)
    assert (checked.returncode, checked.stdout) == (0, f"{len(kinds)} objects\n"), checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("written", "instead", "complaint"),
    [
        ("readOnlyRootFilesystem: true", "readOnlyRootFileSystem: true", "unknown field"),
        ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "allowPrivilegeEscalation != false"),
        ("component: server\n  strategy:", "component: other\n  strategy:", "selector"),
        ("port: management}", "port: no-such-port-of-the-container}", "must be no more than 15 characters"),
    ],
)
def test_what_an_api_server_would_not_take_is_found(
    programs: Path, render: Render, written: str, instead: str, complaint: str
) -> None:
    text = render(EXISTING).stdout
    assert written in text
    checked = check(programs, text.replace(written, instead, 1))
    assert checked.returncode == 1
    assert complaint in checked.stdout


def test_the_pods_run_with_settings_that_the_server_takes(
    render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = objects_of(render(EVERYTHING))
    file = tmp_path / "realmgate.toml"
    file.write_bytes(base64.b64decode(made["Secret"]["data"]["realmgate.toml"]))
    file.chmod(0o440)
    pods = [made["Deployment"]["spec"]["template"], made["Job-migration"]["spec"]["template"]]
    pods.append(made["CronJob-backup"]["spec"]["jobTemplate"]["spec"]["template"])
    commands = []
    for pod in pods:
        (container,) = pod["spec"]["containers"]
        commands.append(container["args"])
        for variable in container["env"]:
            assert variable["name"] == "IDP_CONFIG" or variable["name"].removeprefix("IDP_").lower() in Settings.model_fields
            monkeypatch.setenv(variable["name"], variable["value"])
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["enableServiceLinks"] is False
        assert "secret" not in json.dumps(container["env"]).replace("/etc/realmgate/secrets/", "")
        assert container["image"] == f"registry.example.com/realmgate@sha256:{'0' * 64}"
    assert commands == [["serve"], ["setup"], ["backup", "/backup"]]
    monkeypatch.delenv("IDP_CONFIG")
    settings = Settings.load(file=str(file))
    assert settings.public_url == "https://example.com:8443/idp"
    assert (settings.host, settings.management_host, settings.management_port) == ("0.0.0.0", "0.0.0.0", 9080)
    assert (settings.cache_size, settings.workers, settings.access_log) == (2_000_000, 2, True)
    assert settings.trusted_proxies == ("10.0.0.0/8", "fd00::/8")
    assert libpq_parameters(settings.database_url)["host"] == "db"
    (rule,) = made["Ingress"]["spec"]["rules"]
    assert rule["host"] == "example.com"
    assert all(each["path"].startswith("/idp/") for each in rule["http"]["paths"])


def test_secrets_are_demanded_never_made_up_and_not_in_pods(render: Render) -> None:
    made = objects_of(render(EXISTING))
    assert "Secret" not in made
    (volume,) = [each for each in made["Deployment"]["spec"]["template"]["spec"]["volumes"] if each["name"] == "secrets"]
    assert (volume["secret"]["secretName"], volume["secret"]["defaultMode"]) == ("kept-elsewhere", 0o440)
    assert made["Job-migration"]["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade,pre-install"
    for values, complaint in (
        (URL, "There are no defaults for secrets"),
        ({"secrets": EXISTING["secrets"]}, "publicUrl"),
        (URL | {"secrets": EXISTING["secrets"] | OWN["secrets"]}, "set the one or the others"),
        (URL | {"secrets": OWN["secrets"] | {"settings": "workers = 2"}}, "needs a line database_url"),
        (URL | {"secrets": OWN["secrets"] | {"masterKey": "changeme"}}, "masterKey"),
        (EXISTING | {"settings": {"database_url": "postgresql://a:b@c/d"}}, "database_url"),
        (EXISTING | {"settings": {"no_such_setting": 1}}, "no_such_setting"),
        (EXISTING | {"settings": {"workers": 0}}, "workers"),
        (EXISTING | {"podSecurityContext": {"runAsNonRoot": False}}, "runAsNonRoot"),
    ):
        refused = render(values)
        assert refused.returncode != 0, values
        assert complaint in refused.stderr


def test_compose_reads_its_file_and_wants_what_is_secret_first(programs: Path) -> None:
    command = [programs / "compose", PROJECT / "deploy/compose.yaml"]
    bare = {"PATH": os.environ["PATH"]}
    refused = subprocess.run(command, env=bare, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "run deploy/compose/prepare.sh first" in refused.stderr
    read = subprocess.run(
        command,
        env=bare | {"REALMGATE_UID": "1000", "REALMGATE_NAME": "id.example.com"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(read.stdout)["services"].keys() == {"server", "postgres", "valkey", "nginx"}


def test_envoy_knows_everything_in_its_file(programs: Path, tmp_path: Path) -> None:
    file = PROJECT / "deploy/proxies/envoy.yaml"
    read = subprocess.run([programs / "envoy", file], capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr
    assert "HttpConnectionManager" in read.stdout
    for written, instead in (("merge_slashes", "merge_slash"), ("timeout: 5s", "timeout: -5s")):
        (tmp_path / "envoy.yaml").write_text(file.read_text().replace(written, instead))
        assert subprocess.run([programs / "envoy", tmp_path / "envoy.yaml"], capture_output=True, check=False).returncode != 0
