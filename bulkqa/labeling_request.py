"""What Ground Truth is asked for: a labeling job with our page and our two functions.

Whatever is known of what `CreateLabelingJob` takes is checked here, before any call: the service says one
thing at a time, in its own words, and some of it only when the labeling job has failed.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from bulkqa.errors import InputError
from bulkqa.settings import MAX_REVIEWERS

LABEL_ATTRIBUTE = "bulkqa-review"
"""The name under which output manifests hold what the reviewers said of a page."""

TITLE = "Pick out the wrong labels"
DESCRIPTION = "Each page shows pictures that a model gave the same label: mark those that do not show it."
KEYWORDS = ("images", "labels", "review")
TIME_LIMIT = 3_600
AVAILABLE_FOR = 864_000
MAX_CONCURRENT = 1_000
"""What a labeling job has where nothing else is said: an hour for a page, ten days for all of them."""

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")
_KEYWORD = re.compile(r"[A-Za-z0-9]+( [A-Za-z0-9]+)*")
_S3 = re.compile(r"s3://[a-zA-Z0-9._-]+/[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[a-zA-Z_0-9+=,.@/-]+")
_FUNCTION = re.compile(
    r"arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):[0-9]{12}:function:[a-zA-Z0-9_-]+(:[a-zA-Z0-9_$-]+)?"
)
_WORKTEAM = re.compile(
    r"arn:aws[a-z-]*:sagemaker:(?P<region>[a-z0-9-]+):[0-9]{12}:workteam/(?P<kind>[^/\s]+)/[!-~]+"
)
# No line ends or other control characters, nor halves of characters; a title has the first 65,536 alone.
_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_BEYOND = re.compile(r"[\ufffe-\U0010ffff]")
_TAG_MARKS = "_.:/=+-@"


@dataclass(frozen=True, kw_only=True)
class LabelingRequest:
    """A labeling job as it is asked for.

    `workteam` may be a private team or a vendor's, which somebody chose and has a contract with; the public
    crowd is refused. `time_limit` is for a page and `available_for` for all of them, in seconds.
    """

    name: str
    manifest: str
    output: str
    role: str
    workteam: str
    template: str
    pre_labeling: str
    post_labeling: str
    title: str = TITLE
    description: str = DESCRIPTION
    keywords: tuple[str, ...] = KEYWORDS
    reviewers: int = 1
    time_limit: int = TIME_LIMIT
    available_for: int = AVAILABLE_FOR
    max_concurrent: int = MAX_CONCURRENT
    label_attribute: str = LABEL_ATTRIBUTE
    tags: Mapping[str, str] = field(default_factory=dict)

    def to_api(self) -> dict[str, object]:
        """Return the members of `CreateLabelingJob`; raise `InputError` for what it does not take."""
        self._check()
        task: dict[str, object] = {
            "WorkteamArn": self.workteam,
            "UiConfig": {"UiTemplateS3Uri": self.template},
            "PreHumanTaskLambdaArn": self.pre_labeling,
            "TaskKeywords": list(self.keywords),
            "TaskTitle": self.title,
            "TaskDescription": self.description,
            "NumberOfHumanWorkersPerDataObject": self.reviewers,
            "TaskTimeLimitInSeconds": self.time_limit,
            "TaskAvailabilityLifetimeInSeconds": self.available_for,
            "MaxConcurrentTaskCount": self.max_concurrent,
            "AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": self.post_labeling},
        }
        return {
            "LabelingJobName": self.name,
            "LabelAttributeName": self.label_attribute,
            "InputConfig": {"DataSource": {"S3DataSource": {"ManifestS3Uri": self.manifest}}},
            "OutputConfig": {"S3OutputPath": self.output},
            "RoleArn": self.role,
            "HumanTaskConfig": task,
            **(
                {"Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()]}
                if self.tags
                else {}
            ),
        }

    def _check(self) -> None:
        _check_name("name", self.name, 63)
        _check_name("label attribute", self.label_attribute, 127)
        if self.label_attribute == "source" or self.label_attribute.endswith(("-metadata", "-ref")):
            raise InputError(
                f"label attribute {self.label_attribute!r}: it may be neither source nor end in "
                "-metadata or -ref, which Ground Truth keeps for itself"
            )
        for what, uri in (("manifest", self.manifest), ("output", self.output), ("template", self.template)):
            _check_shape(what, uri, _S3, 1024, "an address in S3 (s3://bucket/key)")
        _check_shape("role", self.role, _ROLE, 2048, "a role's ARN (arn:aws:iam::ACCOUNT:role/NAME)")
        regions = {
            _check_shape(what, arn, _FUNCTION, 2048, "a Lambda function's ARN")["region"]
            for what, arn in (("pre-labeling", self.pre_labeling), ("post-labeling", self.post_labeling))
        }
        self._check_workteam(regions)
        _check_line("title", self.title, 128)
        beyond = _BEYOND.search(self.title)
        if beyond:
            raise InputError(
                f"title {self.title!r}: it may not hold {beyond[0]!r}, nor any character beyond U+FFFD"
            )
        _check_line("description", self.description, 255)
        if not 1 <= len(self.keywords) <= 5:
            raise InputError(f"keywords: {len(self.keywords)} of them, where Ground Truth takes 1 to 5")
        for keyword in self.keywords:
            what = "letters, digits and single spaces between them"
            _check_shape("keyword", keyword, _KEYWORD, 30, what)
        _check_number("reviewers", self.reviewers, 1, MAX_REVIEWERS)
        _check_number("time limit", self.time_limit, 30, 28_800, " seconds")
        _check_number("availability", self.available_for, 60, 2_592_000, " seconds")
        _check_number("tasks at once", self.max_concurrent, 1, 5_000)
        self._check_tags()

    def _check_workteam(self, regions: set[str]) -> None:
        what = "a work team's ARN (arn:aws:sagemaker:REGION:ACCOUNT:workteam/private-crowd/NAME)"
        parts = _check_shape("work team", self.workteam, _WORKTEAM, 256, what)
        if parts["kind"].lower() == "public-crowd":
            raise InputError(
                f"work team {self.workteam!r}: the public crowd is Mechanical Turk, which takes no new "
                "customers since 30 July 2026 and has announced its closure, and it would show the pictures "
                "to strangers: name a private work team"
            )
        if regions != {parts["region"]}:
            raise InputError(
                f"work team {self.workteam!r}: it is of the Region {parts['region']}, "
                f"where the functions are in {' and '.join(sorted(regions))}"
            )

    def _check_tags(self) -> None:
        if len(self.tags) > 50:
            raise InputError(f"tags: {len(self.tags)} of them, where Ground Truth takes at most 50")
        for key, value in self.tags.items():
            if not 1 <= len(key) <= 128 or len(value) > 256:
                raise InputError(f"tag {key!r}: a key has 1 to 128 characters, a value at most 256")
            if key.lower().startswith("aws:"):
                raise InputError(f"tag {key!r}: a key may not begin with aws:")
            for character in key + value:
                if unicodedata.category(character)[0] not in "LNZ" and character not in _TAG_MARKS:
                    raise InputError(
                        f"tag {key!r}: it may not hold {character!r}; "
                        f"use letters, digits, spaces and {_TAG_MARKS}"
                    )


def title_of(labels: int) -> str:
    """Return the title of a labeling job whose pages are of so many labels.

    >>> title_of(1), title_of(12)
    ('Pick out the wrong labels (1 label)', 'Pick out the wrong labels (12 labels)')
    """
    return f"{TITLE} ({labels} label{'' if labels == 1 else 's'})"


def _check_name(what: str, value: str, most: int) -> None:
    _check_shape(what, value, _NAME, most, "letters and digits, with hyphens between them alone")


def _check_shape(what: str, value: str, shape: re.Pattern[str], most: int, wanted: str) -> re.Match[str]:
    match = shape.fullmatch(value) if len(value) <= most else None
    if match is None:
        raise InputError(f"{what} {value!r}: Ground Truth takes {wanted}, at most {most} characters")
    return match


def _check_line(what: str, value: str, most: int) -> None:
    length = len(value.encode("utf-16-le", "surrogatepass")) // 2  # as Java, in which AWS counts, has it
    if not value.strip() or length > most:
        raise InputError(f"{what}: {length} characters, where Ground Truth takes 1 to {most}")
    if not _LINE.fullmatch(value):
        raise InputError(f"{what} {value!r}: Ground Truth takes one line, without control characters")


def _check_number(what: str, value: int, least: int, most: int, unit: str = "") -> None:
    if not least <= value <= most:
        raise InputError(f"{what}: {value}{unit}, where Ground Truth takes {least} to {most}")
