"""The real `cdk deploy`, to an AWS on this machine."""

import io
import json
import shutil
import socket
import zipfile
from pathlib import Path

import pytest

from tests.e2e.deploy_local import Counts, Deployed, opinion, read, said, use_production, use_sandbox
from tests.e2e.local_aws import ACCOUNT, LocalAws, ProgramError, context_of, invoke, local_aws
from tests.emulators import ROOT, or_skip
from tests.sagemaker import serving
from tests.support_aws import REGION
from tests.synthesis import run_app

pytestmark = [pytest.mark.slow, pytest.mark.aws, pytest.mark.timeout(400)]

SOURCES = (
    "app.py",
    "cdk.json",
    "stages.toml",
    "bulkqa",
    "infra",
    "lambdas",
    "requirements",
    "samples",
    "templates",
)

LATER = "<!-- as it may be later -->\n"


def quiet(text: str) -> None:
    """Hears what is done and says nothing."""


def synthesised(folder: Path, stage: str) -> Path:
    """A stage as `cdk synth` synthesises it for this machine, made in this process; return its folder."""
    place = {"CDK_DEFAULT_ACCOUNT": ACCOUNT, "CDK_DEFAULT_REGION": REGION}
    run_app(folder, place, **context_of(folder, stage))
    return folder


def test_production_does_with_what_its_policies_allow(tmp_path: Path) -> None:
    """Where only policies allow anything all goes well; destroying the stack leaves people's votes."""
    with or_skip(), serving() as sagemaker, local_aws(tmp_path, secured=True) as aws:
        use_production(aws, synthesised(tmp_path / "production", "production"), sagemaker, quiet)


def other_version(folder: Path) -> Path:
    """A checkout as it may be one day: with another worker template."""
    folder.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    template = folder / "templates" / "worker.liquid.html"
    template.write_text(template.read_text("utf-8") + LATER, "utf-8")
    return folder


def twice(counts: Counts) -> Counts:
    """What two jobs count of which everybody says the same."""
    return {image: (2 * yes, 2 * no, 2 * neither) for image, (yes, no, neither) in counts.items()}


def log_days(aws: LocalAws) -> set[int]:
    """After how many days the functions' logs go."""
    groups = aws.server.client("logs").describe_log_groups()["logGroups"]
    return {group["retentionInDays"] for group in groups}


def faulty(assembly: Path, folder: Path) -> Path:
    """The same assembly, but that the sample is launched with a minimum confidence that nothing reaches."""
    shutil.copytree(assembly, folder)
    template = folder / "Bulkqa.template.json"
    text = template.read_text("utf-8")
    assert text.count('"minimum_confidence": "80"') == 1
    template.write_text(text.replace('"minimum_confidence": "80"', '"minimum_confidence": "100"'), "utf-8")
    # What is uploaded is told apart by its digest.
    assets = json.loads((folder / "Bulkqa.assets.json").read_text("utf-8"))["files"]
    (digest,) = (name for name, one in assets.items() if one["source"]["path"] == template.name)
    for name in ("Bulkqa.assets.json", "manifest.json"):
        path = folder / name
        path.write_text(path.read_text("utf-8").replace(digest, digest[::-1]), "utf-8")
    return folder


def test_a_life_of_a_sandbox(tmp_path: Path) -> None:
    """Deployed, used, updated and destroyed: every vote is counted, and nothing is left behind.

    A deploy that fails says why and leaves nothing. A new version takes over amid a labeling job: votes stay,
    the labeling job goes on with the page it began with, and new ones get the new page.
    """
    with or_skip(), serving() as sagemaker, local_aws(tmp_path / "aws") as aws:
        assembly = synthesised(tmp_path / "sandbox", "sandbox")
        aws.bootstrap(assembly)
        before = aws.inventory()
        with pytest.raises(ProgramError, match="no usable row: 319 below the minimum confidence 100"):
            aws.deploy(faulty(assembly, tmp_path / "faulty"))
        assert aws.inventory() - before == {"StackSummaries Bulkqa-sandbox"}

        stack = use_sandbox(aws, assembly, sagemaker, quiet)

        stack.launch("next")
        truth = stack.ground_truth(stack.start("next"))
        truth.hand_out()
        truth.review(opinion)
        truth.deliver(truth.hand_over(truth.tasks[:2]))
        counts = stack.counted()
        assert log_days(aws) == {7}
        later = aws.synth(tmp_path / "later", "sandbox", other_version(tmp_path / "other"), log_days=1)
        aws.deploy(later)
        assert log_days(aws) == {1}
        updated = Deployed(aws, "Bulkqa-sandbox", sagemaker)
        assert {**updated.outputs, "WorkerTemplateURI": ""} == {**stack.outputs, "WorkerTemplateURI": ""}
        assert updated.counted() == counts
        s3 = aws.server.client("s3")
        first, now = (read(s3, each.outputs["WorkerTemplateURI"]) for each in (stack, updated))
        assert now.decode() == first.decode() + LATER
        truth.consolidate()
        assert updated.counted() == twice(said(truth.tasks))
        updated.launch("last")
        page = updated.start("last").request["HumanTaskConfig"]["UiConfig"]["UiTemplateS3Uri"]
        assert page == updated.outputs["WorkerTemplateURI"] != stack.outputs["WorkerTemplateURI"]

        assert "(no changes)" in aws.deploy(later)
        assert updated.counted() == twice(said(truth.tasks))
        aws.destroy(later)
        assert aws.inventory() == before


FUNCTION = """
import importlib, os, sys

def handler(names, context):
    found = {}
    for name in names:
        try:
            found[name] = importlib.import_module(name).__file__
        except ImportError:
            found[name] = None
    return {"found": found, "environment": dict(os.environ)}
"""


def make_function(aws: LocalAws) -> str:
    """Make a function that says what it can import and what its environment is; return its name."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("looking.py", FUNCTION)
        file.writestr("bulkqa.py", "")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = aws.server.client("iam").create_role(
        RoleName="looking",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    aws.server.client("lambda").create_function(
        FunctionName="looking",
        Runtime="python3.13",
        Handler="looking.handler",
        Role=role["Role"]["Arn"],
        Code={"ZipFile": archive.getvalue()},
    )
    return "looking"


def test_functions_run_as_on_lambda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They see what was deployed and what Lambda brings along: nothing of this environment or its library."""
    monkeypatch.setenv("MY_SECRET", "of a developer")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with or_skip(), local_aws(tmp_path) as aws:
        names = ["boto3", "bulkqa", "lambdas", "aws_lambda_powertools", "pytest", "ministack"]
        seen = invoke(aws.server.client("lambda"), make_function(aws), names)
    found = seen["found"]
    assert {name for name in names if found[name]} == {"boto3", "bulkqa"}
    assert Path(found["bulkqa"]).parent == Path(seen["environment"]["LAMBDA_TASK_ROOT"])
    assert "MY_SECRET" not in seen["environment"]
    assert str(ROOT) not in seen["environment"]["PYTHONPATH"]
    assert seen["environment"]["HOME"] == str(tmp_path)


@pytest.mark.parametrize("secured", [False, True])
def test_it_listens_on_this_machine_alone(secured: bool, tmp_path: Path) -> None:
    """It opens one port, at 127.0.0.1, with TLS or without."""
    if not Path("/proc/net/tcp").exists():
        pytest.skip("only Linux has files that say who listens where")
    with or_skip(), local_aws(tmp_path, secured=secured) as aws:
        port = int(aws.server.url.rpartition(":")[2])
        assert listening(aws.server.pid) == [("127.0.0.1", port)]


def listening(pid: int) -> list[tuple[str, int]]:
    """Every address and port at which a process listens."""
    files = [file.readlink() for file in Path(f"/proc/{pid}/fd").iterdir()]
    own = {str(file)[8:-1] for file in files if str(file).startswith("socket:[")}
    found = []
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/{pid}/net/{name}").read_text("utf-8").splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and inode in own:
                address, _, port = local.partition(":")
                words = (bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8))
                found.append((socket.inet_ntop(family, b"".join(words)), int(port, 16)))
    return found
