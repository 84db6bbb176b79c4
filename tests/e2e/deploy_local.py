"""`make deploy-local`: the stack is deployed, used and removed, twice, with AWS on this machine.

First a sandbox, of which nothing may be left. Then a stage as in production, where everybody may do what
policies allow and no more, Ground Truth included: what people worked for has to outlive the stack.
"""

import csv
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path, PurePosixPath
from random import Random
from typing import Any

from bulkqa.demo import CARES, read_truth
from bulkqa.flow.answers import Decision
from bulkqa.shipped import shipped
from tests.e2e.local_aws import FunctionError, LocalAws, ProgramError, invoke, local_aws
from tests.emulators import MissingError, Server
from tests.ground_truth import WORKERS, Event, GroundTruth, Task
from tests.sagemaker import WORKTEAM, Created, SageMaker, serving

Say = Callable[[str], None]

JOB = "sample"
SECONDS = 30
"""How long a report may take to come after a labeling job's end."""

Counts = dict[str, tuple[int, int, int]]
"""The confirms, disconfirms and cannot-judges of every image."""


class Deployed:
    """A deployed stack, and Ground Truth beside it."""

    def __init__(self, aws: LocalAws, name: str, sagemaker: SageMaker) -> None:
        self.aws = aws
        self.name = name
        self.outputs = aws.outputs(name)
        self.bucket = self.outputs["BulkQABucket"]
        self._sagemaker = sagemaker

    def launch(self, job: str = JOB, **changes: object) -> dict[str, Any]:
        """Launch the sample by the function, for three reviewers of each page; return its counts."""
        sample = f"s3://{self.bucket}/samples/emoji"
        event: dict[str, object] = {
            "job": job,
            "corpus": f"{sample}/corpus.csv",
            "images": f"{sample}/images",
            "minimum_confidence": 0,
            "bands": "0,50,60,70,80,90,100",
            "reviewers": len(WORKERS),
        }
        return dict(self.call("Launch", event | changes))

    def call(self, name: str, event: object) -> Any:
        """Invoke one of the functions, by the name of its output."""
        return invoke(self.aws.server.client("lambda"), self.outputs[f"{name}FunctionARN"], event)

    def bulkqa(self, *arguments: str) -> str:
        """Run the command `bulkqa` on this stack; return what it prints."""
        return self.aws.bulkqa(
            *arguments, BULKQA_STACK=self.name, AWS_ENDPOINT_URL_SAGEMAKER=self._sagemaker.url
        )

    def start(self, job: str = JOB) -> Created:
        """Start the job's labeling job with the command."""
        self.bulkqa("job", "start", job, "--workteam", WORKTEAM)
        return list(self._sagemaker.created.values())[-1]

    def ground_truth(self, created: Created, server: Server | None = None) -> GroundTruth:
        """Ground Truth with this labeling job, working with everybody's rights or those of `server`'s."""
        server = self.aws.server if server is None else server
        s3 = server.client("s3")
        task = created.request["HumanTaskConfig"]
        template = read(s3, task["UiConfig"]["UiTemplateS3Uri"])
        call = partial(invoke, server.client("lambda"))
        return GroundTruth(
            created.played(template.decode()),
            s3,
            partial(call, task["PreHumanTaskLambdaArn"]),
            partial(call, task["AnnotationConsolidationConfig"]["AnnotationConsolidationLambdaArn"]),
        )

    def tell(self, end: Event) -> None:
        """Put the event of a labeling job's end on the bus, as SageMaker does."""
        entry = {
            "Source": end["source"],
            "DetailType": end["detail-type"],
            "Detail": json.dumps(end["detail"]),
            "Resources": end["resources"],
        }
        reply = self.aws.server.client("events").put_events(Entries=[entry])
        assert not reply["FailedEntryCount"], reply

    def report(self, job: str = JOB) -> dict[str, Any]:
        """The report in the bucket, once it and all beside it are there."""
        s3, prefix = self.aws.server.client("s3"), f"jobs/{job}/report/"
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            found = s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", ())
            names = {entry["Key"].removeprefix(prefix) for entry in found}
            if names >= {"report.json", "report.csv", "report.html", "labeling.json"}:
                return dict(json.loads(read(s3, f"s3://{self.bucket}/{prefix}report.json")))
            time.sleep(0.1)
        raise AssertionError(f"there is no report {SECONDS} s after the labeling job's end")

    def counted(self) -> Counts:
        """The counts of every image in the label table, as an analyst reads them there."""
        pages = self.aws.server.client("dynamodb").get_paginator("scan")
        names = ("WorkerConfirmCount", "WorkerDisconfirmCount", "WorkerCannotJudgeCount")
        found = {}
        for page in pages.paginate(TableName=self.outputs["DynamoDBLabelTableName"]):
            for item in page["Items"]:
                confirms, disconfirms, neither = (int(item.get(name, {"N": "0"})["N"]) for name in names)
                found[item["s3_image_url"]["S"]] = (confirms, disconfirms, neither)
        return found


@contextmanager
def listening_to_reports(server: Server) -> Iterator[Callable[[], dict[str, Any]]]:
    """Have a rule of one's own for our event, for a block; it gives what returns the next one's detail."""
    events, sqs, name = server.client("events"), server.client("sqs"), "listening"
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["bulkqa"], "detail-type": ["bulkqa Report Ready"]}
    rule = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": name, "Arn": arn}])
    may = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    statement = may | {"Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": rule}}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})

    def next_detail() -> dict[str, Any]:
        (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
        return dict(json.loads(message["Body"])["detail"])

    try:
        yield next_detail
    finally:
        events.remove_targets(Rule=name, Ids=[name])
        events.delete_rule(Name=name)
        sqs.delete_queue(QueueUrl=queue)


def read(s3: Any, uri: str) -> bytes:
    """The object at an address in S3."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    data: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return data


def opinion(worker: str, image: str) -> Decision:
    """What a worker says of a picture: the truth, but for a slip now and then, and always the same."""
    labels, truth = _labels(), read_truth()
    name = PurePosixPath(image).name
    care = CARES[WORKERS.index(worker)]
    luck = Random(f"{worker} {name}").random()
    if luck > 0.99:
        return Decision.CANNOT_JUDGE
    is_wrong = labels[name] != truth[name]
    slips = luck < (care.misses if is_wrong else care.false_alarms)
    return Decision.CONFIRM if is_wrong == slips else Decision.DISCONFIRM


@cache
def _labels() -> dict[str, str]:
    with shipped("samples/emoji/corpus.csv").open(encoding="utf-8", newline="") as file:
        return {row["image_local_path"]: row["label"] for row in csv.DictReader(file)}


def said(tasks: Iterable[Task]) -> Counts:
    """The counts of every image, from what workers said of it and nothing else."""
    order = (Decision.CONFIRM, Decision.DISCONFIRM, Decision.CANNOT_JUDGE)
    found: Counts = {}
    for task in tasks:
        for image in task.page.images.values():
            decisions = [opinion(worker, image) for worker in task.answers]
            confirms, disconfirms, neither = (decisions.count(kind) for kind in order)
            found[image] = (confirms, disconfirms, neither)
    return found


def check_report(report: dict[str, Any], counts: Counts) -> None:
    """Fail where a report does not say what these counts say."""
    outcomes = Counter(
        "split" if confirms and disconfirms else "confirmed" if confirms else "disconfirmed"
        for confirms, disconfirms, _ in counts.values()
        if confirms or disconfirms
    )
    expected = {
        "total": len(counts),
        "unreviewed": len(counts) - outcomes.total(),
        "cannot_judge": sum(neither > 0 for _, _, neither in counts.values()),
        **{name: outcomes[name] for name in ("confirmed", "disconfirmed", "split")},
    }
    assert {name: report["totals"][name] for name in expected} == expected


def review(stack: Deployed, say: Say, server: Server | None = None) -> tuple[GroundTruth, Counts]:
    """The sample from launch to report; return the labeling job and what its workers said."""
    launched = stack.launch()
    say(f"launched the sample: {launched['items']} images on {launched['batches']} pages")
    created = stack.start()
    say(f"started the labeling job {created.name}")
    truth = stack.ground_truth(created, server)
    end = truth.play(opinion)
    created.end("Completed", labeled=len(truth.results))
    counts = said(truth.tasks)
    assert truth.passed_over == []
    assert len(truth.results) == len(truth.tasks) == launched["batches"]
    assert len(counts) == launched["items"]
    assert stack.counted() == counts
    say(f"{len(WORKERS)} workers reviewed all pages, and every vote is in the label table once")
    with listening_to_reports(stack.aws.server) as heard:
        stack.tell(end)
        report = stack.report()
        told = heard()
    assert told["report"] == f"s3://{stack.bucket}/jobs/{JOB}/report/report.json"
    assert (told["job"], told["outcome"]) == (JOB, "all reviewed")
    assert told["correct"] == report["totals"]["correct"]
    assert json.loads(stack.bulkqa("report", JOB, "--format", "json")) == report
    check_report(report, counts)
    say("the labeling job's end brought the report, which says what they said")
    return truth, counts


def use_sandbox(aws: LocalAws, assembly: Path, sagemaker: SageMaker, say: Say) -> Deployed:
    """Deploy a sandbox and use it; return it."""
    before = aws.inventory()
    aws.deploy(assembly)
    stack = Deployed(aws, "Bulkqa-sandbox", sagemaker)
    found = json.loads(stack.bulkqa("doctor", "--format", "json"))["findings"]
    assert {one["state"] for one in found} == {"fine"}, found
    say(f"deployed {stack.name}: {len(aws.inventory() - before)} things")
    review(stack, say)
    return stack


def use_production(aws: LocalAws, assembly: Path, sagemaker: SageMaker, say: Say) -> None:
    """Deploy a stage as in production where policies count, use it, and destroy it: the votes are left."""
    aws.bootstrap(assembly)
    before = aws.inventory()
    aws.deploy(assembly)
    stack = Deployed(aws, "Bulkqa", sagemaker)
    say(f"deployed {stack.name}: {len(aws.inventory() - before)} things")
    truth, counts = review(stack, say, taking_on(aws.server, stack.outputs["SageMakerRoleARN"]))
    end = truth.finish()
    check_refusal(stack, "PreLabeling", "s3:GetObject", truth.hand_out)
    check_refusal(stack, "PostLabeling", "dynamodb:UpdateItem", truth.consolidate)
    check_refusal(stack, "Launch", "dynamodb:PartiQLInsert", partial(stack.launch, "again"))
    check_refusal(stack, "Report", "dynamodb:BatchGetItem", partial(stack.call, "Report", end))
    say("functions from which a right was taken were refused what it is for")
    aws.destroy(assembly)
    assert stack.counted() == counts
    assert read(aws.server.client("s3"), f"s3://{stack.bucket}/jobs/{JOB}/job.json")
    left = {f"Buckets {stack.bucket}", f"TableNames {stack.outputs['DynamoDBLabelTableName']}"}
    assert aws.inventory() - before == left
    say(f"destroyed {stack.name}: bucket and label table are left, with every vote")


def rehearse_sandbox(home: Path, say: Say) -> None:
    """Deploy a sandbox, use it, and destroy it: nothing is left."""
    with serving() as sagemaker, local_aws(home) as aws:
        say("started AWS on this machine")
        assembly = aws.synth(home / "sandbox", "sandbox")
        say("synthesised the stage [sandbox]")
        aws.bootstrap(assembly)
        before = aws.inventory()
        stack = use_sandbox(aws, assembly, sagemaker, say)
        say(stack.bulkqa("report", JOB))
        aws.destroy(assembly)
        assert aws.inventory() == before
        say(f"destroyed {stack.name}: nothing of it is left")


def rehearse_production(home: Path, say: Say) -> None:
    """The same for a stage as in production, where policies count."""
    with serving() as sagemaker, local_aws(home, secured=True) as aws:
        say("started AWS on this machine: over TLS, and nobody may do what no policy allows")
        assembly = aws.synth(home / "production", "production")
        say("synthesised the stage [production]")
        use_production(aws, assembly, sagemaker, say)


def taking_on(server: Server, role: str) -> Server:
    """The same server for whoever takes on a role, which here everybody of the account may."""
    iam, name = server.client("iam"), role.rpartition("/")[2]
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    everybody = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": role.split(":")[4]}}
    trust["Statement"].append(everybody)
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
    keys = server.client("sts").assume_role(RoleArn=role, RoleSessionName="GroundTruth")["Credentials"]
    credentials = {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }
    return Server(server.url, server.pid, **server.variables | credentials)


def check_refusal(stack: Deployed, name: str, action: str, call: Callable[[], object]) -> None:
    """Fail where a function whose right to an action is taken away is not refused that."""
    function = stack.outputs[f"{name}FunctionARN"]
    with without(stack.aws.server, function, action):
        try:
            call()
        except FunctionError as error:
            assert "AccessDenied" in str(error), error
            assert action in str(error), error
            return
    raise AssertionError(f"{function} needs no {action}")


@contextmanager
def without(server: Server, function: str, action: str) -> Iterator[None]:
    """Take a right from a function's role, for a block."""
    iam = server.client("iam")
    role = server.client("lambda").get_function_configuration(FunctionName=function)["Role"]
    name = role.rpartition("/")[2]
    (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
    document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]

    def put(statements: list[dict[str, Any]]) -> None:
        text = json.dumps(document | {"Statement": statements})
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=text)

    rest = []
    for statement in document["Statement"]:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        left = [one for one in actions if one != action]
        rest += [statement | {"Action": left}] if left else []
    put(rest)
    try:
        yield
    finally:
        put(document["Statement"])


def main() -> None:
    """Do both, and say what is done."""
    started = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(text if "\n" in text else f"{time.monotonic() - started:5.1f} s  {text}\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory(prefix="bulkqa-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            rehearse_sandbox(folder / "sandbox", say)
            rehearse_production(folder / "production", say)
        except (MissingError, ProgramError, FunctionError) as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
