"""Who may import whom. The rules are the design's; a stage that reaches past its neighbours fails here."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# In the order of the data; each may import those before it.
STAGES = (
    *("records", "statistics", "bands", "on_disk", "corpus", "batches"),
    *("tasks", "answers", "checks", "mixing", "costs", "plan", "spill"),
    *("votes", "examples", "agreement", "calibration", "conflicts", "rounds", "report"),
    *("sequential", "thresholds"),
    *("evidence", "slices", "limits", "lookup", "gate"),
)

OPEN = {"bulkqa", "bulkqa.errors", "bulkqa.settings"}
FLOW = {f"bulkqa.flow.{stage}" for stage in STAGES}
OF_STEPS = FLOW | OPEN | {"bulkqa.ports", "bulkqa.wire", "bulkqa.jobs"}
PORTAL = OF_STEPS | {
    *("bulkqa.steps", "bulkqa.steps.closing", "bulkqa.steps.confusion", "bulkqa.steps.document"),
    *("bulkqa.rendering", "bulkqa.report_page"),
    *("bulkqa.portal.app", "bulkqa.portal.security"),
}

OF_EVALUATION = FLOW | OPEN | {"bulkqa.parquet"}

ALLOWED: dict[str, set[str]] = {
    "bulkqa": set(),
    "bulkqa.errors": set(),
    "bulkqa.shipped": set(),
    "bulkqa.settings": OPEN | {f"bulkqa.flow.{name}" for name in ("bands", "batches", "thresholds")},
    "bulkqa.ports": FLOW | OPEN,
    "bulkqa.wire": FLOW | OPEN,
    "bulkqa.launch_request": FLOW | OPEN,
    "bulkqa.labeling_request": OPEN,
    "bulkqa.table_file": FLOW | OPEN | {"bulkqa.parquet"},
    "bulkqa.columnar": FLOW | {"bulkqa.errors", "bulkqa.parquet", "bulkqa.table_file"},
    "bulkqa.retraining": FLOW | OPEN,
    "bulkqa.rendering": FLOW | OPEN | {"bulkqa.shipped"},
    "bulkqa.report_words": set(),
    "bulkqa.report_page": {"bulkqa.errors", "bulkqa.shipped", "bulkqa.report_words"},
    "bulkqa.parquet": {"bulkqa.errors"},
    "bulkqa.evaluation": {"bulkqa.evaluation.confusion", "bulkqa.evaluation.metrics"},
    "bulkqa.evaluation.inputs": {"bulkqa.errors"},
    **{
        f"bulkqa.evaluation.{name}": OF_EVALUATION
        | {f"bulkqa.evaluation.{other}" for other in ("arrays", "confusion", "curves", "inputs")}
        for name in ("arrays", "confusion", "curves", "metrics")
    },
    "bulkqa.evaluation.columns": OF_EVALUATION
    | {"bulkqa.evaluation.confusion", "bulkqa.evaluation.predictions"},
    "bulkqa.evaluation.plots": {"bulkqa.errors"}
    | {f"bulkqa.evaluation.{other}" for other in ("confusion", "curves", "metrics")},
    "bulkqa.evaluation.documents": {"bulkqa.errors"},
    "bulkqa.evaluation.job_metrics": FLOW | OPEN | {"bulkqa.evaluation.documents"},
    "bulkqa.evaluation.result_metrics": FLOW
    | OPEN
    | {f"bulkqa.evaluation.{name}" for name in ("documents", "job_metrics", "lookout", "rekognition")},
    "bulkqa.evaluation.schema": {"bulkqa.errors"},
    "bulkqa.evaluation.metric_classes": {"bulkqa.errors"},
    "bulkqa.evaluation.cells": set(),
    "bulkqa.evaluation.measures": FLOW | OPEN | {"bulkqa.parquet", "bulkqa.evaluation.cells"},
    "bulkqa.evaluation.asked": FLOW
    | OPEN
    | {
        f"bulkqa.evaluation.{other}"
        for other in ("eval_config", "measures", "metric_classes", "schema", "short_gate")
    },
    **{
        f"bulkqa.evaluation.{name}": FLOW
        | OPEN
        | {
            f"bulkqa.evaluation.{other}"
            for other in ("schema", "metric_classes", "eval_config", "short_gate", "result_metrics")
        }
        for name in ("eval_config", "gate_file", "metrics_file", "short_gate", "validation_result")
    },
    "bulkqa.verdict_words": FLOW,
    "bulkqa.gate_page": FLOW | {"bulkqa.shipped", "bulkqa.verdict_words"},
    "bulkqa.gate": FLOW
    | OPEN
    | {"bulkqa.gate_page", "bulkqa.verdict_words"}
    | {f"bulkqa.evaluation.{name}" for name in ("gate_file", "metrics_file")},
    "bulkqa.evaluation.predictions": OF_EVALUATION,
    **{
        f"bulkqa.evaluation.{name}": FLOW
        | {"bulkqa.errors"}
        | {
            f"bulkqa.evaluation.{other}"
            for other in ("confusion", "documents", "lookout", "metrics", "predictions")
        }
        for name in ("lookout", "masks", "rekognition", "slices")
    },
    "bulkqa.metrics_page": {"bulkqa.shipped", "bulkqa.report_page", "bulkqa.report_words"}
    | {f"bulkqa.evaluation.{name}" for name in ("lookout", "masks", "metrics", "predictions", "rekognition")},
    "bulkqa.console": FLOW | OPEN | {"bulkqa.ports"},
    "bulkqa.jobs": FLOW | OPEN | {"bulkqa.ports"},
    "bulkqa.steps": {
        f"bulkqa.steps.{name}"
        for name in (
            "analysis",
            "answering",
            "following",
            "launching",
            "labeling",
            "labeling_jobs",
            "publishing",
            "replaying",
            "reporting",
            "results",
            "rounds",
        )
    },
    "bulkqa.steps.notices": {"bulkqa.ports"},
    "bulkqa.steps.launching": OF_STEPS
    | {"bulkqa.steps.notices", "bulkqa.steps.known_answers", "bulkqa.steps.gating"},
    "bulkqa.steps.judging": OF_STEPS
    | {f"bulkqa.steps.{name}" for name in ("analysis", "document", "gating")},
    "bulkqa.steps.gating": OF_STEPS
    | {f"bulkqa.steps.{name}" for name in ("closing", "results")}
    | {
        f"bulkqa.evaluation.{name}"
        for name in ("eval_config", "gate_file", "job_metrics", "schema", "validation_result")
    }
    | {"bulkqa.evaluation"},
    "bulkqa.steps.known_answers": OF_STEPS,
    "bulkqa.steps.labeling": OF_STEPS,
    "bulkqa.steps.planning": OF_STEPS
    | {f"bulkqa.steps.{name}" for name in ("answering", "notices", "results")},
    "bulkqa.steps.answering": OF_STEPS | {"bulkqa.steps.labeling"},
    "bulkqa.steps.replaying": OF_STEPS
    | {"bulkqa.steps.closing", "bulkqa.steps.notices", "bulkqa.steps.labeling"},
    "bulkqa.steps.results": OF_STEPS,
    "bulkqa.steps.following": OF_STEPS | {"bulkqa.steps.closing", "bulkqa.steps.results"},
    "bulkqa.steps.closing": OF_STEPS | {"bulkqa.steps.results"},
    "bulkqa.steps.labeling_rounds": OF_STEPS | {"bulkqa.steps.closing", "bulkqa.steps.labeling_output"},
    "bulkqa.steps.rounds": OF_STEPS
    | {f"bulkqa.steps.{name}" for name in ("launching", "notices", "results")},
    "bulkqa.steps.labeling_jobs": OF_STEPS
    | {"bulkqa.labeling_request", "bulkqa.steps.closing", "bulkqa.steps.labeling_rounds"},
    "bulkqa.steps.confusion": OF_STEPS | {"bulkqa.steps.rounds", "bulkqa.evaluation.confusion"},
    "bulkqa.steps.corpora": OF_STEPS | {"bulkqa.steps.notices"},
    "bulkqa.steps.publishing": OF_STEPS | {"bulkqa.shipped"},
    "bulkqa.steps.labeling_output": OF_STEPS,
    "bulkqa.steps.analysis": OF_STEPS
    | {f"bulkqa.steps.{name}" for name in ("answering", "closing", "results", "rounds")}
    | {"bulkqa.steps.labeling_output", "bulkqa.steps.labeling_rounds"},
    "bulkqa.steps.document": OF_STEPS | {"bulkqa.steps.analysis", "bulkqa.steps.confusion"},
    "bulkqa.steps.reporting": OF_STEPS
    | {"bulkqa.report_page"}
    | {f"bulkqa.steps.{name}" for name in ("analysis", "document", "gating", "results")}
    | {"bulkqa.steps.labeling_output", "bulkqa.steps.labeling_rounds"},
    "bulkqa.portal": set(),
    "bulkqa.portal.security": OPEN,
    "bulkqa.portal.server": OPEN,
    "bulkqa.portal.app": PORTAL,
    "bulkqa.aws": set(),
    **{
        f"bulkqa.aws.{name}": FLOW
        | OPEN
        | {"bulkqa.ports", "bulkqa.wire", "bulkqa.aws.calls", "bulkqa.aws.clients"}
        for name in (
            *("blobs", "calls", "clients", "emptying", "events"),
            *("ground_truth", "label_table", "pictures", "stack"),
        )
    },
    "bulkqa.aws.rekognition": FLOW | OPEN | {"bulkqa.aws.calls", "bulkqa.aws.pictures"},
    "bulkqa.aws.checkup": FLOW
    | OPEN
    | {f"bulkqa.aws.{name}" for name in ("calls", "ground_truth", "pictures", "stack")},
    "bulkqa.local": set(),
    **{
        f"bulkqa.local.{name}": FLOW | OPEN | {"bulkqa.ports", "bulkqa.wire", "bulkqa.local.database"}
        for name in ("blobs", "database", "label_table", "task_queue", "pictures", "secret")
    },
    "bulkqa.flow": set(),
    **{
        f"bulkqa.flow.{stage}": {f"bulkqa.flow.{before}" for before in STAGES[:place]} | {"bulkqa.errors"}
        for place, stage in enumerate(STAGES)
    },
}
# The command and the demo put everything together.
CLI = {
    f"bulkqa.cli{name}"
    for name in (
        "",
        ".__main__",
        ".app",
        ".checking",
        ".confusing",
        ".corpora",
        ".deciding",
        ".evaluating",
        ".exporting",
        ".labeling",
        ".launching",
        ".options",
        ".output",
        ".places",
        ".planning",
        ".results",
        ".reviewing",
        ".rounds",
        ".sources",
        ".validating",
    )
}
FREE = CLI | {"bulkqa.demo"}


@cache
def modules() -> dict[str, Path]:
    """Return every module of the library by name."""
    found = {}
    for path in sorted((ROOT / "bulkqa").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> set[str]:
    """Return the names of all modules a file imports, wherever in it it does."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            ours = modules()
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & ours.keys()) or {node.module}
    return found


@pytest.mark.parametrize("name", sorted(modules().keys() - FREE))
def test_a_module_imports_only_what_it_may(name: str) -> None:
    """A module imports only those of ours that its place in the house allows."""
    ours = {module for module in imports(modules()[name]) if module.split(".")[0] == "bulkqa"}
    assert name in ALLOWED, f"{name} has no place in the house yet: give it one here"
    assert ours <= ALLOWED[name], f"{name} may not import {sorted(ours - ALLOWED[name])}"


@pytest.mark.parametrize("stage", STAGES)
def test_the_flow_needs_the_standard_library_alone(stage: str) -> None:
    """A flow file imports nothing that has to be installed."""
    outside = {module.split(".")[0] for module in imports(modules()[f"bulkqa.flow.{stage}"])} - {"bulkqa"}
    assert outside <= set(sys.stdlib_module_names)


def test_only_the_command_builds_adapters() -> None:
    """Adapters are imported by the command alone, but for the demo's check of its own pictures."""
    adapters = ("bulkqa.local", "bulkqa.aws")
    users = {
        name
        for name, path in modules().items()
        if not name.startswith(adapters) and any(module.startswith(adapters) for module in imports(path))
    }
    assert users == {"bulkqa.cli.places", "bulkqa.demo"}
    of_demo = {module for module in imports(modules()["bulkqa.demo"]) if module.startswith(adapters)}
    assert of_demo == {"bulkqa.local.pictures"}


@pytest.mark.parametrize("path", sorted((ROOT / "lambdas").glob("*.py")), ids=lambda path: path.stem)
def test_a_function_needs_neither_command_nor_laptop(path: Path) -> None:
    """The Lambdas import nothing of the command, the local adapters, the portal or the infrastructure."""
    outside = ("bulkqa.cli", "bulkqa.local", "bulkqa.console", "bulkqa.demo", "bulkqa.portal", "infra")
    assert not {module for module in imports(path) if module.startswith(outside)}


@pytest.mark.parametrize(
    "path", [ROOT / "app.py", *sorted((ROOT / "infra").glob("*.py"))], ids=lambda path: path.stem
)
def test_the_stack_knows_settings_alone(path: Path) -> None:
    """The infrastructure imports nothing of the library but settings and errors, and no function."""
    ours = {module for module in imports(path) if module.split(".")[0] in ("bulkqa", "lambdas")}
    assert ours <= {"bulkqa.settings", "bulkqa.errors"}


@pytest.mark.slow
def test_steps_load_nothing_heavy() -> None:
    """The steps, which Lambdas run, load neither a web framework nor a template engine nor the command."""
    heavy = (
        "numpy",
        "scipy",
        "pandas",
        "rich",
        "typer",
        "starlette",
        "uvicorn",
        "jinja2",
        "liquid",
        "sqlite3.dbapi3",
    )
    code = f"import sys, bulkqa.steps; print([name for name in {heavy!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.slow
def test_importing_the_library_touches_nothing(tmp_path: Path) -> None:
    """Importing every module makes no file and starts no thread."""
    code = (
        f"import importlib, threading; [importlib.import_module(name) for name in {sorted(modules())!r}]; "
        "print(threading.active_count())"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "1"
    assert not list(tmp_path.iterdir())
