"""What Ground Truth is asked for: what it would refuse is refused before any call."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.labeling_request import LabelingRequest, title_of
from tests.sagemaker import WORKTEAM, breaches

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:bulkqa-SageMaker-pre"

GOOD: dict[str, Any] = {
    "name": "dogs--000-1",
    "manifest": "s3://bucket/jobs/dogs/manifest.json",
    "output": "s3://bucket/output",
    "role": "arn:aws:iam::123456789012:role/bulkqa/GroundTruth",
    "workteam": WORKTEAM,
    "template": "s3://bucket/templates/worker.liquid.html",
    "pre_labeling": FUNCTION,
    "post_labeling": FUNCTION.replace("pre", "post"),
}


def request(**changes: Any) -> LabelingRequest:
    """A request that can be made, with some parts changed."""
    return LabelingRequest(**GOOD | changes)


def workteam(region: str = "us-east-1", team: str = "private-crowd/reviewers", partition: str = "aws") -> str:
    """A work team's ARN."""
    return f"arn:{partition}:sagemaker:{region}:394669845002:workteam/{team}"


def test_a_request_has_all_that_a_custom_task_needs() -> None:
    """The members are those of `CreateLabelingJob` for a custom task, and nothing else."""
    made = request(title="Dogs?", reviewers=3, tags={"team": "vision"}).to_api()
    assert made == {
        "LabelingJobName": "dogs--000-1",
        "LabelAttributeName": "bulkqa-review",
        "InputConfig": {"DataSource": {"S3DataSource": {"ManifestS3Uri": GOOD["manifest"]}}},
        "OutputConfig": {"S3OutputPath": "s3://bucket/output"},
        "RoleArn": GOOD["role"],
        "HumanTaskConfig": {
            "WorkteamArn": WORKTEAM,
            "UiConfig": {"UiTemplateS3Uri": GOOD["template"]},
            "PreHumanTaskLambdaArn": GOOD["pre_labeling"],
            "TaskKeywords": ["images", "labels", "review"],
            "TaskTitle": "Dogs?",
            "TaskDescription": request().description,
            "NumberOfHumanWorkersPerDataObject": 3,
            "TaskTimeLimitInSeconds": 3600,
            "TaskAvailabilityLifetimeInSeconds": 864_000,
            "MaxConcurrentTaskCount": 1000,
            "AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": GOOD["post_labeling"]},
        },
        "Tags": [{"Key": "team", "Value": "vision"}],
    }
    assert "Tags" not in request().to_api()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "dogs_1", "name 'dogs_1'"),
        ("name", "-dogs", "name"),
        ("name", "dogs-", "name"),
        ("name", "", "name"),
        ("name", "d" * 64, "at most 63"),
        ("label_attribute", "bulkqa_review", "label attribute 'bulkqa_review': .*hyphens"),
        ("label_attribute", "bulkqa.review", "label attribute"),
        ("label_attribute", "review-metadata", "-metadata"),
        ("label_attribute", "source", "label attribute 'source'"),
        ("label_attribute", "source-ref", "-ref"),
        ("label_attribute", "dog-ref", "-ref"),
        ("label_attribute", "a" * 128, "at most 127"),
        ("manifest", "jobs/dogs/manifest.json", "manifest.*address in S3"),
        ("manifest", "local://jobs/dogs/manifest.json", "manifest"),
        ("manifest", "s3://b/" + "m" * 1018, "at most 1024"),
        ("output", "s3://bucket", "output"),
        ("template", "https://bucket/worker.liquid.html", "template"),
        ("template", "s3://bucket/a\nb", "template"),
        ("role", "GroundTruth", "role"),
        ("role", "arn:aws:iam::1234:role/GroundTruth", "role"),
        ("role", "arn:aws:iam::١٢٣٤٥٦٧٨٩٠١٢:role/x", "role"),
        ("pre_labeling", "bulkqa-pre", "pre-labeling"),
        ("post_labeling", WORKTEAM, "post-labeling"),
        ("workteam", "reviewers", "work team 'reviewers'"),
        ("workteam", workteam(region="eu-west-1"), "work team .* Region eu-west-1.* us-east-1"),
        ("title", "", "title: 0 characters"),
        ("title", "   ", "title"),
        ("title", "t" * 129, "title: 129 characters.* 1 to 128"),
        ("title", "two\nlines", "title .*one line"),
        ("title", "dogs 🐕", "title .*U\\+FFFD"),
        ("description", "", "description: 0 characters"),
        ("description", "d" * 256, "description: 256 characters.* 1 to 255"),
        ("description", "two\nlines", "description .*one line"),
        ("description", "two\u2028lines", "description .*one line"),
        ("description", "half \ud83d", "description"),
        ("description", "🐕" * 128, "description: 256 characters"),
        ("keywords", (), "keywords: 0"),
        ("keywords", tuple("abcdef"), "keywords: 6"),
        ("keywords", ("dogs  cats",), "keyword 'dogs  cats'.*single spaces"),
        ("keywords", ("d" * 31,), "keyword.*at most 30"),
        ("keywords", ("犬",), "keyword"),
        ("reviewers", 0, "reviewers: 0, .*1 to 9"),
        ("reviewers", 10, "reviewers: 10"),
        ("time_limit", 29, "time limit: 29 seconds, .*30 to 28800"),
        ("time_limit", 28_801, "time limit"),
        ("available_for", 59, "availability: 59 seconds"),
        ("available_for", 2_592_001, "availability.* 60 to 2592000"),
        ("max_concurrent", 0, "tasks at once: 0"),
        ("max_concurrent", 5_001, "tasks at once: 5001, .*1 to 5000"),
        ("tags", {f"k{n}": "" for n in range(51)}, "tags: 51"),
        ("tags", {"": "x"}, "tag ''"),
        ("tags", {"k" * 129: "x"}, "1 to 128"),
        ("tags", {"k": "x" * 257}, "at most 256"),
        ("tags", {"k": "a;b"}, "tag 'k'.*';'"),
        ("tags", {"aws:k": "x"}, "aws:"),
    ],
)
def test_what_ground_truth_would_refuse_is_refused(field: str, value: object, said: str) -> None:
    """A request that breaks a constraint is refused, naming the field and what is taken."""
    with pytest.raises(InputError, match=said) as refused:
        request(**{field: value}).to_api()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "arn",
    [
        workteam(team="public-crowd/default"),
        workteam(team="public-crowd/default", region="eu-west-1"),
        workteam(team="Public-Crowd/default"),
        workteam(team="public-crowd/default", region="cn-north-1", partition="aws-cn"),
    ],
)
def test_the_public_crowd_is_refused(arn: str) -> None:
    """Pictures are never shown to strangers, in no Region; the refusal says why and what else there is."""
    with pytest.raises(InputError, match=r"Mechanical Turk.*announced its closure.*strangers.*private"):
        request(workteam=arn).to_api()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "d" * 63, "label_attribute": "a" * 127, "title": "t" * 128, "description": "d" * 255},
        {"title": "Bilder prüfen: 犬", "description": "Hunde 🐕 oder nicht?"},
        {"reviewers": 9, "time_limit": 28_800, "available_for": 2_592_000, "max_concurrent": 5_000},
        {"reviewers": 1, "time_limit": 30, "available_for": 60, "max_concurrent": 1},
        {"workteam": workteam(team="vendor-crowd/labelers-inc")},
        {"keywords": ("a", "b c", "d" * 30, "1", "2")},
        {"label_attribute": "sources", "post_labeling": f"{FUNCTION}:live"},
        {"tags": {f"k{n}": "x" * 256 for n in range(50)}},
        {"tags": {"Größe 1": "a_b.c:d/e=f+g-h@i"}},
    ],
)
def test_what_is_just_allowed_is_taken(changes: dict[str, Any]) -> None:
    """At every bound a request is made, and the service's own description has nothing against it."""
    assert breaches("CreateLabelingJobRequest", request(**changes).to_api()) == []


def test_another_partition_is_as_good() -> None:
    """Regions are compared, whatever they are: in China or the government's cloud, too."""
    function = "arn:aws-cn:lambda:cn-north-1:123456789012:function:pre"
    role = "arn:aws-cn:iam::123456789012:role/x"
    team = workteam("cn-north-1", partition="aws-cn")
    request(pre_labeling=function, post_labeling=function, role=role, workteam=team).to_api()
    with pytest.raises(InputError, match="cn-north-1 and us-east-1"):
        request(pre_labeling=function, workteam=team).to_api()


letters = st.one_of(st.text(max_size=300), st.text(alphabet="ab-. _/:@\n\u2028é犬🐕\ud83d", max_size=300))
ours = {
    **dict.fromkeys(("name", "label_attribute", "title", "description"), letters),
    **{name: letters.map(lambda text: f"s3://b/{text}") for name in ("manifest", "output", "template")},
    "role": letters.map(lambda text: f"arn:aws:iam::123456789012:role/{text}"),
    "workteam": letters.map(lambda text: workteam(team=f"private-crowd/{text}")),
    "pre_labeling": letters.map(lambda text: FUNCTION + text),
    "keywords": st.lists(letters, max_size=7).map(tuple),
    "reviewers": st.integers(-1, 11),
    "max_concurrent": st.integers(-1, 6_000),
    **dict.fromkeys(("time_limit", "available_for"), st.integers(-1, 3_000_000)),
    "tags": st.dictionaries(letters, letters, max_size=3),
}
near = st.sampled_from(sorted(ours)).flatmap(lambda name: st.fixed_dictionaries({name: ours[name]}))


@given(near)
@example({"title": "\ufffe"})
@example({"title": "\x85"})
@example({"manifest": "s3://b/\x85"})
@example({"tags": {"\ud83d": ""}})
def test_whatever_passes_the_service_takes(changes: dict[str, Any]) -> None:
    """A request is refused here, or the service's own description has nothing against it."""
    try:
        made = request(**changes).to_api()
    except InputError:
        return
    assert breaches("CreateLabelingJobRequest", made) == []


def test_the_title_tells_how_many_labels_there_are() -> None:
    """The title of any number of labels is one that can be asked for."""
    for labels in (1, 2, 10**9):
        assert str(labels) in request(title=title_of(labels)).to_api()["HumanTaskConfig"]["TaskTitle"]  # type: ignore[index]
