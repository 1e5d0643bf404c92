"""The Helm chart: what it makes is well-formed, safe, told all that its services need, and never asks for more
instances than can work."""

import http.server
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from rendered import (
    CHART,
    SERVICES,
    RefusedByHelm,
    Rendered,
    component_of,
    environment_of,
    render,
    secret_settings_of,
    service_of,
    values_file,
)
from yamllint.config import YamlLintConfig
from yamllint.linter import run as lint

from contracts import TOPICS
from postroom import ServiceSettings
from tools.settings_table import settings_class

pytestmark = [pytest.mark.chart, pytest.mark.timeout(1800)]

OF_OTHERS = {"ScaledObject", "TriggerAuthentication", "PodMonitor"}
"""Kinds of KEDA and of Prometheus' operator, whose schemas are not among Kubernetes' own."""
NOT_OURS_TO_KEEP = (
    "container-image-pull-policy",  # tags are of releases, which do not move
    "deployment-replicas",  # it does not know that KEDA says how many there are
)
YAML_RULES = """
extends: default
rules:
  line-length: {max: 130}
  document-start: disable
"""


def settings_that(service: str, **has: bool) -> set[str]:
    fields = settings_class(service).model_fields
    return {name.upper() for name, field in fields.items() if field.is_required() == has.get("required", True)}


def secret_settings(settings: type[ServiceSettings]) -> set[str]:
    return {name.upper() for name, field in settings.model_fields.items() if "SecretStr" in str(field.annotation)}


# --- what linters find


@pytest.mark.parametrize("values", ["minimal", "everything"])
def test_helm_finds_nothing_to_mend(helm: str, values: str) -> None:
    done = subprocess.run(
        [helm, "lint", "--strict", str(CHART), values_file(values)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_kube_score_finds_nothing_to_mend(kube_score: str, rendered: Rendered) -> None:
    ignored = [f"--ignore-test={name}" for name in NOT_OURS_TO_KEEP]
    command = [kube_score, "score", "--kubernetes-version=v1.34", "--output-format=ci", "--exit-one-on-warning"]
    done = subprocess.run([*command, *ignored, "-"], input=rendered.text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, [line for line in done.stdout.splitlines() if not line.startswith(("[OK]", "[SKIP"))]


def test_every_object_is_one_of_kubernetes(rendered: Rendered) -> None:
    for each in rendered.objects:
        if each["kind"] not in OF_OTHERS:
            kubernetes_validate.validate(each, "1.34", strict=True)


def test_yamllint_finds_nothing_to_mend() -> None:
    rules = YamlLintConfig(YAML_RULES)
    for path in [CHART / "Chart.yaml", CHART / "values.yaml", *(CHART / "ci").iterdir()]:
        assert list(lint(path.read_text(encoding="utf-8"), rules, str(path))) == []


# --- what the services are told


def test_what_has_to_be_given_is_asked_for_by_its_name(helm: str) -> None:
    with pytest.raises(RefusedByHelm, match="KAFKA_BOOTSTRAP_SERVERS of invites is needed"):
        render(helm)
    with pytest.raises(RefusedByHelm, match="SMTP_HOST of notifier is needed"):
        render(helm, values_file("minimal"), "--set=services.notifier.settings.SMTP_HOST=")
    with pytest.raises(RefusedByHelm, match="CONSOLE_URL of console is needed"):
        render(helm, values_file("minimal"), "--set=consoleUrl=")


def test_every_variable_is_a_setting_of_its_service(rendered: Rendered) -> None:
    for owner, pod in rendered.pods:
        service = service_of(owner)
        known = (settings_class(service) if service else ServiceSettings).model_fields
        told = {*environment_of(pod), *secret_settings_of(pod)} - {"SECRETS_DIR"}
        assert {name.lower() for name in told} <= set(known), component_of(owner)


def test_every_service_is_told_all_that_it_needs(rendered: Rendered) -> None:
    for owner, pod in rendered.pods:
        if service := service_of(owner):
            told = {*environment_of(pod), *secret_settings_of(pod)}
            assert settings_that(service, required=True) <= told, component_of(owner)


def test_what_it_tells_is_taken(rendered: Rendered, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = {
        "database_url": "postgresql://service:password@postgres/service",
        "link_key": "A" * 43,
        "accounts_key": "B" * 43,
    }
    for owner, pod in rendered.pods:
        service = service_of(owner)
        if service is None:
            continue
        folder = tmp_path / component_of(owner)
        folder.mkdir()
        for name in secret_settings_of(pod):
            (folder / name.lower()).write_text(files.get(name.lower(), "something"), encoding="utf-8")
        with monkeypatch.context() as environment:
            for name, value in {**environment_of(pod), "SECRETS_DIR": str(folder)}.items():
                environment.setenv(name, value)
            settings_class(service)()


def test_a_large_number_is_passed_on_as_it_is(everything: Rendered) -> None:
    pod = everything.one("Deployment", "billing")["spec"]["template"]["spec"]
    assert environment_of(pod)["CARD_BLOCK"] == "20000000"


def test_migrations_are_told_the_same_as_the_service(rendered: Rendered) -> None:
    for service in SERVICES:
        [runs] = [pod for owner, pod in rendered.pods if component_of(owner) == service]
        [migrates] = [pod for owner, pod in rendered.pods if component_of(owner) == f"{service}-migrations"]
        own = {"HTTP_HOST", "HTTP_PORT", "WEB_HOST", "WEB_PORT"}
        assert (
            environment_of(migrates).items() == {k: v for k, v in environment_of(runs).items() if k not in own}.items()
        )
        assert secret_settings_of(migrates) == secret_settings_of(runs)
        assert migrates["containers"][0]["image"] == runs["containers"][0]["image"]


def test_secrets_come_by_reference_and_in_no_other_way(rendered: Rendered, helm: str) -> None:
    assert not list(rendered.of_kind("Secret", "ConfigMap"))
    for owner, pod in rendered.pods:
        secret = secret_settings(settings_class(service_of(owner) or "invites"))
        assert not secret & set(environment_of(pod)), component_of(owner)
        assert not any("valueFrom" in each for each in pod["containers"][0]["env"])


@pytest.mark.parametrize("name", sorted({each for s in SERVICES for each in secret_settings(settings_class(s))}))
def test_a_secret_among_the_values_is_refused(helm: str, name: str) -> None:
    with pytest.raises(RefusedByHelm, match=re.escape(f"invalid propertyName '{name}'")):
        render(helm, values_file("minimal"), f"--set=settings.{name}=something")


def test_a_misspelt_value_is_refused(helm: str) -> None:
    with pytest.raises(RefusedByHelm, match="replica"):
        render(helm, values_file("minimal"), "--set=services.invites.replica=3")
    with pytest.raises(RefusedByHelm, match="got number, want string"):
        render(helm, values_file("minimal"), "--set=settings.BATCH_SIZE=500")


# --- how they run


def test_pods_have_no_more_rights_than_they_need(rendered: Rendered) -> None:
    for _, pod in rendered.pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False  # Its variables could be taken for settings.
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]["limits"]) == {"cpu", "memory", "ephemeral-storage"}


def test_a_pod_runs_as_the_user_of_its_image(rendered: Rendered, repository: Path) -> None:
    for owner, pod in rendered.pods:
        dockerfile = repository / "services" / (service_of(owner) or "invites") / "Dockerfile"
        user = re.findall(r"^USER (.*)$", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)[-1]
        assert user == f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_is_watched_and_never_gone_as_a_whole(rendered: Rendered, service: str) -> None:
    deployment = rendered.one("Deployment", service)["spec"]
    pod = deployment["template"]["spec"]
    [container] = pod["containers"]
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert probes == {
        "startup": {"path": "/livez", "port": "http"},
        "liveness": {"path": "/livez", "port": "http"},
        "readiness": {"path": "/readyz", "port": "http"},
    }
    port = {each["name"]: str(each["containerPort"]) for each in container["ports"]}
    assert port["http"] == environment_of(pod)["HTTP_PORT"]
    assert port.get("web") == environment_of(pod).get("WEB_PORT")
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert pod["serviceAccountName"] == rendered.one("ServiceAccount", service)["metadata"]["name"]
    labels = deployment["template"]["metadata"]["labels"].items()
    for selector in (
        deployment["selector"]["matchLabels"],
        rendered.one("PodDisruptionBudget", service)["spec"]["selector"]["matchLabels"],
        rendered.one("Service", service)["spec"]["selector"],
        rendered.one("NetworkPolicy", service)["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels


@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_is_given_the_time_to_finish_what_it_has_begun(rendered: Rendered, service: str) -> None:
    pod = rendered.one("Deployment", service)["spec"]["template"]["spec"]
    before = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    finishing = settings_class(service).model_fields["shutdown_timeout"].default.total_seconds()
    assert pod["terminationGracePeriodSeconds"] >= before + finishing + 10


def test_topics_and_migrations_come_before_anything_else_of_a_release(rendered: Rendered) -> None:
    weights: dict[str, int] = {}
    for job in rendered.of_kind("Job"):
        notes = job["metadata"]["annotations"]
        assert notes["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert "hook-failed" not in notes["helm.sh/hook-delete-policy"]
        # Before the first install there is nothing yet that it could refer to.
        assert "serviceAccountName" not in job["spec"]["template"]["spec"]
        weights[component_of(job)] = int(notes["helm.sh/hook-weight"])
    assert set(weights) == {"topics", *(f"{service}-migrations" for service in SERVICES)}
    assert min(weights, key=lambda name: weights[name]) == "topics"


def test_the_images_are_those_of_the_release(rendered: Rendered) -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == importlib.metadata.version("latchkey-invites")
    for owner, pod in rendered.pods:
        image = pod["containers"][0]["image"]
        assert image.endswith(f"latchkey/{service_of(owner) or 'invites'}:{chart['appVersion']}")


def test_topics_are_created_by_the_image_of_a_service_that_is_there(helm: str) -> None:
    def image(*options: str) -> str:
        job = render(helm, values_file("minimal"), *options).one("Job", "topics")
        return str(job["spec"]["template"]["spec"]["containers"][0]["image"])

    newer = ("--set=services.billing.tag=1.2.4", "--set=topics.service=billing")
    assert image(*newer) == "latchkey/billing:1.2.4"
    assert image("--set=services.invites.tag=1.2.4") == "latchkey/invites:1.2.4"
    off = [f"--set=services.{service}.enabled=false" for service in SERVICES if service != "membership"]
    assert image(*off).startswith("latchkey/membership:")


def test_a_certificate_is_one_more_key_of_the_secret(helm: str) -> None:
    ca = ("--set=services.billing.secret.keys.kafka_ca=ca.crt",)
    pod = render(helm, values_file("minimal"), *ca).one("Deployment", "billing")["spec"]["template"]["spec"]
    [items] = [volume["secret"]["items"] for volume in pod["volumes"] if "secret" in volume]
    assert {"key": "ca.crt", "path": "kafka_ca"} in items


# --- what whoever has installed it is told


@pytest.mark.parametrize("status", [200, 503])
def test_the_notes_say_how_to_see_what_lacks(helm: str, status: int, tmp_path: Path) -> None:
    [program] = re.findall(r'python -c "(.*?)"', notes(helm, tmp_path))

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(self.path.encode() + b" lacks Kafka")

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        command = [sys.executable, "-c", program.replace("8080", str(server.server_port))]
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert (said.returncode, said.stdout) == (0, "/readyz lacks Kafka\n"), said.stderr


def test_the_notes_name_no_service_that_is_not_there(helm: str, tmp_path: Path) -> None:
    off = [f"--set=services.{service}.enabled=false" for service in ("invites", "console")]
    said = notes(helm, tmp_path, *off)
    assert [service for service in SERVICES if f"demo-{service}" in said] == ["membership", "billing", "notifier"]


# --- scaling


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_scales_by_the_lag_of_its_group_up_to_the_partitions(everything: Rendered, service: str) -> None:
    scaled = everything.one("ScaledObject", service)["spec"]
    deployment = everything.one("Deployment", service)
    assert scaled["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]  # An upgrade would undo what KEDA has decided.
    assert 2 <= scaled["minReplicaCount"] <= scaled["maxReplicaCount"] <= most_that_can_work(service)
    kafka, *others = scaled["triggers"]
    assert kafka["type"] == "kafka"
    assert kafka["metadata"]["consumerGroup"] == service
    pod = deployment["spec"]["template"]["spec"]
    assert kafka["metadata"]["bootstrapServers"] == environment_of(pod)["KAFKA_BOOTSTRAP_SERVERS"]
    assert kafka["authenticationRef"]["name"] in names(everything, "TriggerAuthentication")
    assert all(isinstance(value, str) for trigger in scaled["triggers"] for value in trigger["metadata"].values())
    assert [each["type"] for each in others] == (["cpu"] if service == "console" else [])


def test_nobody_can_ask_for_more_instances_than_partitions() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    most = schema["$defs"]["autoscaling"]["properties"]["max"]["maximum"]
    assert most == min(most_that_can_work(service) for service in SERVICES)


def test_without_keda_there_are_as_many_as_the_values_say(helm: str) -> None:
    rendered = render(helm, values_file("minimal"), "--set=services.console.replicas=4")
    assert {component_of(each): each["spec"]["replicas"] for each in rendered.of_kind("Deployment")} == {
        **dict.fromkeys(SERVICES, 2),
        "console": 4,
    }


def test_a_service_can_be_deployed_alone(helm: str) -> None:
    others = [f"--set=services.{service}.enabled=false" for service in SERVICES if service != "membership"]
    rendered = render(helm, values_file("minimal"), *others, "--set=topics.enabled=false")
    assert {service_of(owner) for owner, _ in rendered.pods} == {"membership"}


# --- who may come in


def test_only_the_pages_and_stripes_webhooks_lead_in_from_outside(everything: Rendered) -> None:
    [ingress] = everything.of_kind("Ingress")
    [rule] = ingress["spec"]["rules"]
    paths = [
        (each["path"], each["pathType"], each["backend"]["service"]["name"], each["backend"]["service"]["port"]["name"])
        for each in rule["http"]["paths"]
    ]
    assert paths == [
        ("/", "Prefix", "demo-console", "web"),
        ("/webhooks/stripe", "Exact", "demo-billing", "http"),
    ]


def test_stripes_webhooks_are_let_in_where_metrics_are_for_some_alone(helm: str, everything: Rendered) -> None:
    def let_in(rendered: Rendered) -> list[str]:
        """The namespaces that reach billing's port."""
        rules = rendered.one("NetworkPolicy", "billing")["spec"]["ingress"]
        assert [rule["ports"] for rule in rules] == [[{"port": "http"}]] * len(rules)
        peers = [peer for rule in rules for peer in rule["from"]]
        return [peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for peer in peers]

    assert let_in(everything) == ["monitoring", "ingress"]
    assert let_in(render(helm, values_file("everything"), "--set=ingress.webhooks=false")) == ["monitoring"]


def test_the_jobs_take_no_connections(rendered: Rendered) -> None:
    policy = rendered.one("NetworkPolicy", "jobs")["spec"]
    [expression] = policy["podSelector"]["matchExpressions"]
    assert expression["operator"] == "NotIn"
    assert set(expression["values"]) == set(SERVICES)
    assert policy["ingress"] == []


def notes(helm: str, folder: Path, *options: str) -> str:
    """What Helm says after an installation. It would ask a cluster; so a copy of the chart has them in an object."""
    chart = shutil.copytree(CHART, folder / "latchkey")
    shutil.copy(CHART / "templates" / "NOTES.txt", chart)
    (chart / "templates" / "notes.yaml").write_text(_NOTES, encoding="utf-8")
    [told] = render(helm, values_file("minimal"), *options, chart=chart).of_kind("ConfigMap")
    return str(told["data"]["notes"])


_NOTES = """
apiVersion: v1
kind: ConfigMap
metadata: {name: notes}
data:
  notes: |
    {{- tpl (.Files.Get "NOTES.txt") . | nindent 4 }}
"""


def most_that_can_work(service: str) -> int:
    return max(topic.partitions for topic in TOPICS.read_by(service))


def names(rendered: Rendered, kind: str) -> list[Any]:
    return [each["metadata"]["name"] for each in rendered.of_kind(kind)]
