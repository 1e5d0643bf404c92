"""What operators look at is there: the page of metrics, the dashboard and the alerts name what the services really
expose, no more and no less."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import promql_parser as promql
import pytest
import yaml
from people import people_of
from prometheus_client.parser import text_string_to_metric_families

from stack.platform import Platform

PAGE = Path("docs/observability.md")
DASHBOARD = Path("deploy/observability/dashboard.json")
ALERTS = Path("deploy/observability/alerts.yml")

_OF_PROMETHEUS = {"job", "instance"}
"""Labels that Prometheus adds where it scrapes."""
_PARTS = ("bucket", "sum", "count")
"""Of a histogram."""
_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \|([^|]*)\| (.+) \| ([\w, ]+) \|$", re.MULTILINE)


@dataclass
class Exposed:
    """A metric as services expose it."""

    kind: str
    labels: set[str] = field(default_factory=set)
    services: set[str] = field(default_factory=set)


@pytest.fixture
async def families(platform: Platform) -> dict[str, Exposed]:
    """Everything that the services expose once an invitation was accepted and a card put on file, by name."""
    async with people_of(platform) as people:
        owner, invitee = await people.sign_up("owner"), await people.sign_up("invitee")
        organization_id = await people.organization(owner)
        [(_, code)] = await people.invited(owner, organization_id, [invitee.address])
        await invitee.browser.accept(code)
    found: dict[str, Exposed] = {}
    async with httpx.AsyncClient(trust_env=False) as client:
        for service in (each for each in platform.services if each.is_running):
            page = await client.get(f"http://127.0.0.1:{service.port}/metrics")
            for family in text_string_to_metric_families(page.text):
                name = f"{family.name}_total" if family.type == "counter" else family.name
                exposed = found.setdefault(name, Exposed(family.type))
                exposed.services.add(service.service)
                exposed.labels |= {label for sample in family.samples for label in sample.labels} - {"le"}
    return found


@pytest.mark.platform
async def test_the_page_of_metrics_tells_what_the_services_expose(
    families: dict[str, Exposed], repository: Path
) -> None:
    everybody = {"invites", "membership", "billing", "notifier", "console"}
    told = {
        name: Exposed(
            kind,
            set(re.findall(r"`(\w+)`", labels)),
            everybody if of == "all" else set(of.split(", ")),
        )
        for name, kind, labels, _, of in _ROW.findall((repository / PAGE).read_text(encoding="utf-8"))
    }
    own = {name: each for name, each in families.items() if not name.startswith(("process_", "python_"))}
    assert {name for name in families if name.startswith("process_")}, "the page says that they are there"
    wrong = {name: (told.get(name), own.get(name)) for name in told | own if told.get(name) != own.get(name)}
    assert wrong == {}, "what the page tells, and what there is"


@pytest.mark.platform
async def test_the_dashboard_and_the_alerts_ask_for_what_there_is(
    families: dict[str, Exposed], repository: Path
) -> None:
    series = {name: each.labels for name, each in families.items()}
    for name, each in families.items():
        if each.kind == "histogram":
            series |= {f"{name}_{part}": each.labels | ({"le"} if part == "bucket" else set()) for part in _PARTS}
    series["up"] = set()  # Prometheus' own.
    expressions = [*_expressions_of_dashboard(repository), *_expressions_of_alerts(repository)]
    assert len(expressions) > 60
    wrong = [f"{expression}: {fault}" for expression in expressions for fault in _faults(expression, series)]
    assert wrong == []


def test_the_search_finds_a_metric_and_a_label_that_are_not_there() -> None:
    series = {"there": {"kind"}, "there_bucket": {"le"}}
    assert _faults('sum by (kind) (rate(there{kind="a"}[5m])) > 1', series) == []
    assert _faults("sum(gone) / sum(there)", series) == ["there is no gone"]
    assert _faults('there{sort="a"}', series) == ["there has no sort"]
    assert _faults("sum by (sort) (there)", series) == ["there has no sort"]


def test_the_dashboard_is_one_that_grafana_takes(repository: Path) -> None:
    dashboard = json.loads((repository / DASHBOARD).read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert [panel["title"] for panel in panels if panel["type"] == "row"] == [
        "The chain at a glance",
        "Lag and outbox",
        "Failures and dead letters",
        "Letters",
        "Money",
        "HTTP",
        "Processes",
    ]
    overlapping = [(a["title"], b["title"]) for a, b in combinations(panels, 2) if _overlap(a["gridPos"], b["gridPos"])]
    assert overlapping == []
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert variables == {"datasource", "service"}
    shown = [panel for panel in panels if panel["type"] != "row"]
    assert all(target["datasource"]["uid"] == "${datasource}" for panel in shown for target in panel["targets"])
    assert all(len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) for panel in shown)


def test_every_alert_says_how_bad_it_is_and_what_to_do(repository: Path) -> None:
    rules = list(_alerts(repository))
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}, rule["alert"]
        assert (repository / rule["annotations"]["runbook_url"]).is_file(), rule["alert"]


def test_alerts_fire_when_they_should(repository: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here: it comes with the Debian package `prometheus`")
    folder = repository / ALERTS.parent
    for command in (["check", "config", "prometheus.yml"], ["test", "rules", "alerts.test.yml"]):
        ran = subprocess.run([promtool, *command], cwd=folder, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_each_alert_has_a_test_in_which_it_fires(repository: Path) -> None:
    tests = yaml.safe_load((repository / ALERTS).with_name("alerts.test.yml").read_text(encoding="utf-8"))["tests"]
    fired = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
    assert fired == {rule["alert"] for rule in _alerts(repository)}


def _alerts(repository: Path) -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load((repository / ALERTS).read_text(encoding="utf-8"))["groups"]:
        yield from group["rules"]


def _expressions_of_alerts(repository: Path) -> list[str]:
    return [rule["expr"] for rule in _alerts(repository)]


def _expressions_of_dashboard(repository: Path) -> list[str]:
    dashboard = json.loads((repository / DASHBOARD).read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    asked += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    # What Grafana puts in the place of its variables.
    return [each.replace("$__rate_interval", "1m").replace("$service", ".*") for each in asked]


def _faults(expression: str, series: dict[str, set[str]]) -> list[str]:
    """What the expression asks for that there is not."""
    faults: list[str] = []

    def look(node: promql.Expr) -> None:
        if isinstance(node, promql.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql.VectorSelector):
            name = node.name or ""
            if name not in series:
                faults.append(f"there is no {name}")
                return
            asked = {matcher.name for matcher in node.matchers.matchers}
            faults.extend(f"{name} has no {label}" for label in sorted(asked - series[name] - _OF_PROMETHEUS))
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            grouped = set(node.modifier.labels) - _OF_PROMETHEUS
            known = [name for name in sorted(_names(node.expr)) if name in series]
            faults.extend(f"{name} has no {label}" for name in known for label in sorted(grouped - series[name]))

    promql.walk(promql.parse(expression), look)
    return faults


def _names(expression: promql.Expr) -> set[str]:
    found: set[str] = set()

    def look(node: promql.Expr) -> None:
        if isinstance(node, promql.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql.VectorSelector):
            found.add(node.name or "")

    promql.walk(expression, look)
    return found


def _overlap(a: dict[str, int], b: dict[str, int]) -> bool:
    beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
    return not beside and not above
