"""The settings of a stage: read from TOML, each of its kind, every fault named with its place."""

import dataclasses
from pathlib import Path

import pytest

from bulkqa.errors import InputError
from infra.stage import Stage, Workteam, read_stage
from tests.infra.conftest import STAGES

ROOT = Path(__file__).parent.parent.parent

EVERYTHING = """
[test]
retain = false
table_name = "my-labels"
batch_size = 10
minimum_confidence = 72.5
bands = [70, 82.5, 100]
image_sources = ["s3://pictures/", "s3://archive/2026/dogs/"]
sample = true
runtime = "python3.12"
architecture = "x86_64"
log_days = 30
output_days = 45
alarm_topic = "arn:aws:sns:eu-west-1:123456789012:alarms"
workteam = {user_pool = "eu-west-1_AbCdEfGhI", client_id = "1a2b3c", user_group = "reviewers"}
"""


def stages(tmp_path: Path, text: str) -> Path:
    """A file of stages."""
    path = tmp_path / "stages.toml"
    path.write_text(text, "utf-8")
    return path


def test_every_setting(tmp_path: Path) -> None:
    """Every setting can be given, and arrives."""
    assert read_stage(stages(tmp_path, EVERYTHING), "test") == Stage(
        name="test",
        retain=False,
        table_name="my-labels",
        batch_size=10,
        minimum_confidence=72.5,
        bands=(70, 82.5, 100),
        image_sources=("s3://pictures/", "s3://archive/2026/dogs/"),
        sample=True,
        runtime="python3.12",
        architecture="x86_64",
        log_days=30,
        output_days=45,
        alarm_topic="arn:aws:sns:eu-west-1:123456789012:alarms",
        workteam=Workteam(user_pool="eu-west-1_AbCdEfGhI", client_id="1a2b3c", user_group="reviewers"),
    )
    given = {line.partition(" = ")[0] for line in EVERYTHING.splitlines() if " = " in line}
    assert given == {field.name for field in dataclasses.fields(Stage)} - {"name"}


@pytest.mark.parametrize(("name", "retain"), [("sandbox", False), ("production", True), ("other", True)])
def test_only_a_sandbox_goes_by_itself(tmp_path: Path, name: str, retain: bool) -> None:
    """Without a word about it, every stage but the sandbox keeps its data."""
    assert read_stage(stages(tmp_path, f"[{name}]"), name) == Stage(name=name, retain=retain)


def test_the_stages_that_come_with_it() -> None:
    """Production and sandbox are there; nothing but what people would expect is set."""
    assert read_stage(ROOT / "stages.toml", "production") == Stage(name="production", retain=True)
    sandbox = Stage(name="sandbox", retain=False, sample=True, log_days=7, output_days=7)
    assert read_stage(ROOT / "stages.toml", "sandbox") == sandbox


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("batch_sise = 10", "no setting 'batch_sise'; there are alarm_topic"),
        ("name = 'x'", "no setting 'name'"),
        ("batch_size = '10'", "batch_size '10' is no whole number"),
        ("batch_size = 10.0", "batch_size 10.0 is no whole number"),
        ("batch_size = true", "batch_size True is no whole number"),
        ("batch_size = 0", "batch"),
        ("minimum_confidence = 'high'", "minimum_confidence 'high' is no number"),
        ("minimum_confidence = 101", "minimum confidence 101 is outside 0 to 100"),
        ("bands = '80,100'", "bands '80,100' is no list"),
        ("bands = [80, '90', 100]", "bands '90' is no number"),
        ("bands = [80, 90]", "the last bound has to be 100"),
        ("retain = 1", "retain 1 is neither true nor false"),
        ("table_name = 7", "table_name 7 is no text"),
        ("runtime = 'python3.7'", "runtime 'python3.7': use python3.11, "),
        ("architecture = 'arm'", "architecture 'arm': use arm64, x86_64"),
        ("log_days = 8", "log_days 8: use 1, 3, 5, 7"),
        ("output_days = 0", "output_days 0: at least a day"),
        (
            "workteam = 'mine'",
            "workteam 'mine': a work team has user_pool, client_id, user_group, and nothing",
        ),
        ("workteam = {user_pool = 'a', client_id = 'b'}", "a work team has user_pool"),
        ("workteam = {user_pool = 'a', client_id = 'b', user_group = 7}", "workteam.user_group 7 is no text"),
        ("image_sources = ['pictures/']", "image_sources 'pictures/': an image source is s3://bucket/ or"),
        ("image_sources = ['s3://pictures']", "image_sources 's3://pictures'"),
        ("image_sources = ['s3:///dogs/']", "image_sources"),
        ("image_sources = ['s3://pictures/*/']", "image_sources"),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, line: str, says: str) -> None:
    """A setting that cannot be used is refused with file, stage and setting."""
    path = stages(tmp_path, f"[test]\n{line}\n")
    with pytest.raises(InputError) as caught:
        read_stage(path, "test")
    assert str(caught.value).startswith(f"{path}, stage [test]: ")
    assert says in str(caught.value)


def test_an_unknown_stage_is_refused_with_those_there_are(tmp_path: Path) -> None:
    """Who misspells a stage is told which there are."""
    path = stages(tmp_path, "[production]\n[sandbox]\n")
    with pytest.raises(InputError, match=r"no stage \[sandbx\], only 'production', 'sandbox'"):
        read_stage(path, "sandbx")


@pytest.mark.parametrize("text", ["[production", "\xff"], ids=["toml", "letters"])
def test_a_file_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    """A file that is no TOML is named."""
    path = tmp_path / "stages.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"stages\.toml: "):
        read_stage(path, "production")


@pytest.mark.parametrize("name", ["a" * 21, "a_b", "ä", "-"])
def test_a_stage_name_that_no_stack_can_bear(tmp_path: Path, name: str) -> None:
    """A stage's name becomes part of the stack's and the functions'."""
    path = stages(tmp_path, f'["{name}"]\n')
    with pytest.raises(InputError, match="is not made of at most 20 letters"):
        read_stage(path, name)


def test_the_longest_function_name_fits() -> None:
    """A function's name has at most 64 characters, whatever the stage is called."""
    stage = dataclasses.replace(STAGES["sandbox"], name="a" * 20)
    assert len(f"{stage.stack_name}-SageMaker-post-labeling") <= 64
