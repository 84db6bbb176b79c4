"""The settings of a stage: one table of stages.toml."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bulkqa.errors import InputError
from bulkqa.settings import JobSettings

SANDBOX = "sandbox"
"""The stage of which `cdk destroy` leaves nothing, unless its settings say otherwise."""

_RUNTIMES = ("python3.11", "python3.12", "python3.13", "python3.14")
_ARCHITECTURES = ("arm64", "x86_64")
# What CloudWatch Logs takes.
_LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 3653)


@dataclass(frozen=True, kw_only=True)
class Workteam:
    """Who is to be a private work team: the members of a group in a Cognito user pool.

    The pool has to be the one that the account's private workforce is made of; `client_id` is its app client.
    """

    user_pool: str
    client_id: str
    user_group: str


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage's settings.

    `retain` keeps bucket and label table when the stack is destroyed. `table_name` is CloudFormation's
    choice where None. `batch_size`, `minimum_confidence` and `bands` are what a launch by the function takes
    where it is not told. `image_sources` are prefixes (`s3://bucket/prefix/`) of images outside the
    stack's bucket. `sample` launches the sample as a job. `log_days` and `output_days` are when logs and
    what Ground Truth writes are deleted. `alarm_topic` is the ARN of an SNS topic that hears of alarms.
    With `workteam` the stack has a private work team.
    """

    name: str
    retain: bool
    table_name: str | None = None
    batch_size: int = 25
    minimum_confidence: float = 80
    bands: tuple[float, ...] = (80, 85, 90, 95, 100)
    image_sources: tuple[str, ...] = ()
    sample: bool = False
    runtime: str = "python3.13"
    architecture: str = "arm64"
    log_days: int = 90
    output_days: int = 365
    alarm_topic: str | None = None
    workteam: Workteam | None = None

    @property
    def stack_name(self) -> str:
        """The stack's name: stages of one account do not get in each other's way.

        >>> Stage(name="production", retain=True).stack_name, Stage(name="sandbox", retain=False).stack_name
        ('Bulkqa', 'Bulkqa-sandbox')
        """
        return "Bulkqa" if self.name == "production" else f"Bulkqa-{self.name}"


def read_stage(path: Path, name: str) -> Stage:
    """Return a stage's settings from a TOML file; raise `InputError` naming file and setting at fault."""
    try:
        stages = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}") from None
    if not isinstance(stages.get(name), dict):
        raise InputError(f"{path}: there is no stage [{name}], only {', '.join(map(repr, stages)) or 'none'}")
    where = f"{path}, stage [{name}]"
    try:
        return _stage(name, stages[name])
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _stage(name: str, given: dict[str, Any]) -> Stage:
    # The name is part of others', of which a function's is the longest: 64 characters at most.
    if len(name) > 20 or not name.replace("-", "").isalnum() or not name.isascii():
        raise InputError(f"the name {name!r} is not made of at most 20 letters, digits and hyphens")
    kinds = {field.name: getattr(field.type, "__name__", str(field.type)) for field in fields(Stage)}
    settings: dict[str, Any] = {"name": name, "retain": name != SANDBOX}
    for key, value in given.items():
        if key not in kinds or key == "name":
            raise InputError(
                f"there is no setting {key!r}; there are {', '.join(sorted(kinds.keys() - {'name'}))}"
            )
        settings[key] = _workteam(value) if key == "workteam" else _typed(key, value, kinds[key])
    stage = Stage(**settings)
    JobSettings(
        job="stage",
        corpus_name="",
        batch_size=stage.batch_size,
        minimum_confidence=stage.minimum_confidence,
        bands=stage.bands,
    ).check()
    for key, value, known in (
        ("runtime", stage.runtime, _RUNTIMES),
        ("architecture", stage.architecture, _ARCHITECTURES),
        ("log_days", stage.log_days, _LOG_DAYS),
    ):
        if value not in known:
            raise InputError(f"{key} {value!r}: use {', '.join(map(str, known))}")
    if stage.output_days < 1:
        raise InputError(f"output_days {stage.output_days}: at least a day")
    for source in stage.image_sources:
        bucket = source.removeprefix("s3://").partition("/")[0]
        if (
            not source.startswith("s3://")
            or not bucket
            or not source.endswith("/")
            or set("*?,") & set(source)
        ):
            raise InputError(
                f"image_sources {source!r}: an image source is s3://bucket/ or s3://bucket/prefix/"
            )
    return stage


def _workteam(value: object) -> Workteam:
    names = [field.name for field in fields(Workteam)]
    if not isinstance(value, dict) or value.keys() != set(names):
        raise InputError(f"workteam {value!r}: a work team has {', '.join(names)}, and nothing else")
    return Workteam(**{name: str(_typed(f"workteam.{name}", value[name], "str")) for name in names})


def _typed(key: str, value: object, kind: str) -> object:
    """Return a setting's value if it is of the kind that its annotation says."""
    if kind == "tuple":
        inner = "str" if key == "image_sources" else "float"
        if isinstance(value, list):
            return tuple(_typed(key, one, inner) for one in value)
        raise InputError(f"{key} {value!r} is no list")
    types: dict[str, tuple[type, str]] = {
        "bool": (bool, "neither true nor false"),
        "int": (int, "no whole number"),
        "float": (float, "no number"),
        "str": (str, "no text"),
    }
    wanted, otherwise = types[kind.removesuffix(" | None")]
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, wanted) or (wanted is not bool and isinstance(value, bool)):
        raise InputError(f"{key} {value!r} is {otherwise}")
    return value
