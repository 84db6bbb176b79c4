"""The post-labeling function: every vote counted once, on its own picture, whatever comes with it."""

import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import pytest

from bulkqa import jobs, steps
from bulkqa.errors import BulkqaError, InputError
from bulkqa.flow.batches import make_batches
from bulkqa.flow.corpus import Item
from bulkqa.flow.tasks import task_input
from bulkqa.flow.votes import Key, LabelRow, Origin
from bulkqa.settings import JobSettings
from tests.ground_truth import WORKERS, payload_entry
from tests.lambdas.conftest import EVENTS, Cloud, Crash, event, unmeasured
from tests.support import CREATED, quiet

ANA, BEN, CEM = WORKERS
BATCH = "jobs/dogs/custom-labeling-inputs/00000000.json"
PAYLOAD = event("post-labeling")["payload"]["s3Uri"].removeprefix("s3://bulkqa-data/")
ATTRIBUTE = "Dogs-Round-1"
ONE, OTHER = (f"dogs/private.us-east-1.{name}" for name in ("0f6c1d2a9b3e4c58", "7be0a4f1c2d35e96"))
MAX_REPLY = 6_000_000

Answer = dict[str, dict[str, bool]]


def launched(cloud: Cloud, size: int = 25, batch_size: int = 25) -> list[list[Key]]:
    """Write rows and batches of the job `dogs`, of so many dogs; return its keys, page by page."""
    items = [Item(f"s3://bulkqa-data/dogs/{number:03d}.jpg", "Dog", 90) for number in range(size)]
    cloud.store.table.launch(items, Origin("dogs", CREATED))
    batches = list(make_batches(items, batch_size))
    for batch in batches:
        cloud.put(jobs.batch_key("dogs", batch.number), task_input(batch))
    return [[(item.image, item.label) for item in batch.items] for batch in batches]


def answer(size: int = 25, wrong: Sequence[int] = (), unsure: Sequence[int] = ()) -> Answer:
    """A worker's answer, with these places wrong or not to be told."""
    return {
        f"item-{place:03d}": {"Confirmed": place not in (*wrong, *unsure), "CannotJudge": place in unsure}
        for place in range(size)
    }


def entry(number: int, answers: Mapping[str, Mapping[str, object] | str]) -> dict[str, Any]:
    """A page of the job `dogs` in a payload, as the object of the same number."""
    uri = f"s3://bulkqa-data/jobs/dogs/custom-labeling-inputs/{number:08d}.json"
    return payload_entry(str(number), {"s3Uri": uri}, answers)


def deliver(cloud: Cloud, *entries: Any, post: Callable[[Any], Any] | None = None) -> Any:
    """Hand over a payload of these objects; return the function's reply."""
    cloud.put(PAYLOAD, list(entries))
    return (post or cloud.function("post_labeling"))(event("post-labeling"))


def ids(reply: Any) -> list[str]:
    """The objects that a reply has a result of."""
    return [one["datasetObjectId"] for one in reply]


def content(reply: Any, object_id: str = "0") -> dict[str, Any]:
    """The result of an object in a reply."""
    (found,) = (one for one in reply if one["datasetObjectId"] == object_id)
    labelled: dict[str, Any] = found["consolidatedAnnotation"]["content"]
    assert labelled.keys() == {ATTRIBUTE}
    inner: dict[str, Any] = labelled[ATTRIBUTE]
    return inner


def counts(row: LabelRow) -> tuple[int, int, int]:
    """How often a row was confirmed, disconfirmed, and not told."""
    return row.confirms, row.disconfirms, row.cannot_judges


def table_counts(cloud: Cloud, keys: Sequence[Key]) -> list[tuple[int, int, int]]:
    """The counts of these rows."""
    rows = cloud.rows()
    return [counts(rows[key]) for key in keys]


def test_an_event_as_ground_truth_sends_it_is_counted(cloud: Cloud) -> None:
    """A captured event with two workers' answers gives their votes, and one result of the object."""
    ((first, second, third),) = launched(cloud, 3)
    cloud.put(PAYLOAD, event_payload("post-labeling-payload"))
    reply = cloud.function("post_labeling")(event("post-labeling"))
    assert reply == [
        {
            "datasetObjectId": "0",
            "consolidatedAnnotation": {
                "content": {
                    ATTRIBUTE: {
                        "schema": 1,
                        "batch": BATCH,
                        "label": "Dog",
                        "workers": 2,
                        "decisions": {"confirm": 4, "disconfirm": 1, "cannot_judge": 1},
                        "confirmed": [0, 2],
                        "split": [1],
                    }
                }
            },
        }
    ]
    rows = cloud.rows()
    assert [counts(rows[key]) for key in (first, second, third)] == [(2, 0, 0), (1, 1, 0), (1, 0, 1)]
    assert rows[second].confirmed_by == {OTHER}
    assert rows[second].disconfirmed_by == {ONE}
    assert rows[third].cannot_judge_by == {ONE}


def test_an_answer_may_lie_in_a_file(cloud: Cloud) -> None:
    """A captured event whose annotation is an address is counted as if the answer stood there."""
    (keys,) = launched(cloud, 3)
    entries = event_payload("post-labeling-s3-annotations-payload")
    asked = event("post-labeling-s3-annotations")
    cloud.put(asked["payload"]["s3Uri"].removeprefix("s3://bulkqa-data/"), entries)
    place = entries[0]["annotations"][0]["annotationData"]["s3Uri"]
    cloud.put(place.removeprefix("s3://bulkqa-data/"), answer(3, wrong=[1]))
    assert content(cloud.function("post_labeling")(asked))["disconfirmed"] == [1]
    assert table_counts(cloud, keys) == [(1, 0, 0), (0, 1, 0), (1, 0, 0)]


def event_payload(name: str) -> list[dict[str, Any]]:
    """A captured payload by its file's name."""
    entries: list[dict[str, Any]] = json.loads((EVENTS / f"{name}.json").read_text("utf-8"))
    return entries


# The sixteen rules of custom labeling jobs, by what they guard; those on creating a labeling job and on the
# stack are tested where these are.


def by_name(names: list[str]) -> list[str]:
    """Names sorted as texts."""
    return sorted(names)


def by_name_backwards(names: list[str]) -> list[str]:
    """Names sorted as texts, the last one first."""
    return sorted(names, reverse=True)


def shuffled(names: list[str]) -> list[str]:
    """Names in no order."""
    return Random(3).sample(names, len(names))


@pytest.mark.parametrize("arrange", [by_name, by_name_backwards, shuffled])
@pytest.mark.parametrize("style", ["item-{:03d}", "Dog-{}"])
def test_a_vote_lands_on_its_picture_whatever_the_order_of_keys(
    cloud: Cloud, arrange: Callable[[list[str]], list[str]], style: str
) -> None:
    """Of 12 pictures only number 2 is rejected: in any order of keys, that one row alone changes."""
    (keys,) = launched(cloud, 12)
    boxes = {style.format(place): box for place, box in enumerate(answer(12, wrong=[2]).values())}
    text = json.dumps({name: boxes[name] for name in arrange(list(boxes))})
    assert content(deliver(cloud, entry(0, {ANA: text})))["disconfirmed"] == [2]
    expected = [(1, 0, 0)] * 12
    expected[2] = (0, 1, 0)
    assert table_counts(cloud, keys) == expected


def test_an_event_delivered_again_changes_nothing(cloud: Cloud) -> None:
    """The same event twice, and once more to another instance: the same reply, the same table.

    Nothing in it depends on time: no call carries a token that a service forgets.
    """
    (keys,) = launched(cloud, 5)
    entries = [entry(0, {ANA: answer(5, wrong=[2]), BEN: answer(5, unsure=[3])})]
    post = cloud.function("post_labeling")
    first, before = deliver(cloud, *entries, post=post), cloud.rows()
    assert counts(before[keys[2]]) == (1, 1, 0)
    assert deliver(cloud, *entries, post=post) == first
    assert deliver(cloud, *entries) == first
    assert cloud.rows() == before
    assert not any("ClientRequestToken" in arguments for _, arguments in cloud.traffic.calls)


@unmeasured
@pytest.mark.parametrize("done", [0, 1, 6, 11])
def test_a_crash_half_way_and_a_second_delivery_count_each_vote_once(cloud: Cloud, done: int) -> None:
    """Whatever of an event was counted when the function died, the next delivery adds the rest alone."""
    (keys,) = launched(cloud, 12)
    entries = [entry(0, {ANA: answer(12, wrong=[2]), BEN: answer(12), CEM: answer(12, unsure=[9])})]
    cloud.traffic.crash_after(done, "UpdateItem")
    with pytest.raises(Crash):
        deliver(cloud, *entries)
    cloud.traffic.on_call = None
    assert sum(map(sum, table_counts(cloud, keys))) == 3 * done
    deliver(cloud, *entries)
    expected = [(3, 0, 0)] * 12
    expected[2], expected[9] = (2, 1, 0), (2, 0, 1)
    assert table_counts(cloud, keys) == expected


@unmeasured
@pytest.mark.parametrize("done", range(5))
def test_a_crash_before_counting_loses_no_answer(cloud: Cloud, done: int) -> None:
    """Wherever the function dies before it counts, the next delivery counts everything."""
    (keys,) = launched(cloud, 3)
    cloud.traffic.crash_after(1 + done)  # the payload is written by the test
    with pytest.raises(Crash):
        deliver(cloud, entry(0, {ANA: answer(3)}))
    cloud.traffic.on_call = None
    deliver(cloud, entry(0, {ANA: answer(3)}))
    assert table_counts(cloud, keys) == [(1, 0, 0)] * 3


def test_three_workers_give_one_result_and_three_votes_a_picture(cloud: Cloud) -> None:
    """An object has one result however many workers answered it, and every picture has all their votes."""
    (keys,) = launched(cloud, 5)
    reply = deliver(cloud, entry(0, dict.fromkeys(WORKERS, answer(5))))
    assert ids(reply) == ["0"]
    assert content(reply)["workers"] == 3
    assert table_counts(cloud, keys) == [(3, 0, 0)] * 5
    assert cloud.metrics()["VotesCounted"] == 15


def test_fewer_answers_than_workers_are_taken(cloud: Cloud) -> None:
    """Of three workers two answered before time was up, or one, or none: what there is counts."""
    pages = launched(cloud, 6, batch_size=2)
    some = [entry(0, {ANA: answer(2), BEN: answer(2)}), entry(1, {CEM: answer(2)}), entry(2, {})]
    reply = deliver(cloud, *some)
    assert [content(reply, object_id)["workers"] for object_id in "012"] == [2, 1, 0]
    assert [table_counts(cloud, keys) for keys in pages] == [[(n, 0, 0)] * 2 for n in (2, 1, 0)]


@pytest.mark.parametrize("payload", ["s3Uri", "s3uri"])
@pytest.mark.parametrize("batch", ["s3Uri", "s3uri", "content"])
@pytest.mark.parametrize("annotation", ["content", "s3Uri", "s3uri"])
def test_every_way_to_hand_over_is_understood(
    cloud: Cloud, payload: str, batch: str, annotation: str
) -> None:
    """Payload, batch and answer are found by their address in either spelling, or where they stand inside."""
    (keys,) = launched(cloud, 3)
    data_object = {batch: cloud.store.blobs.uri(BATCH)}
    if batch == "content":
        data_object = {batch: cloud.store.blobs.read(BATCH).decode()}
    text = json.dumps(answer(3, wrong=[1]))
    one = payload_entry("0", data_object, {ANA: text})
    if annotation != "content":
        place = cloud.put("jobs/dogs/output/x/annotations/worker-response/0/answer.json", text.encode())
        one["annotations"] = [{"workerId": ANA, "annotationData": {annotation: place}}]
    where = {payload: cloud.put(PAYLOAD, [one])}
    reply = cloud.function("post_labeling")(event("post-labeling", payload=where))
    assert content(reply)["disconfirmed"] == [1]
    assert table_counts(cloud, keys) == [(1, 0, 0), (0, 1, 0), (1, 0, 0)]


def inside(text: str) -> object:
    """A payload as an object with its content."""
    return {"content": text}


@pytest.mark.parametrize("wrap", [inside, str, json.loads], ids=["content", "text", "list"])
def test_a_payload_may_stand_in_the_event(cloud: Cloud, wrap: Callable[[str], object]) -> None:
    """A payload that is no reference but the list itself is counted, too."""
    (keys,) = launched(cloud, 3)
    payload = wrap(json.dumps([entry(0, {ANA: answer(3)})]))
    assert ids(cloud.function("post_labeling")(event("post-labeling", payload=payload))) == ["0"]
    assert table_counts(cloud, keys) == [(1, 0, 0)] * 3


BAD_ANSWERS: dict[str, tuple[str, int]] = {
    # Text submitted, and how many of three pictures it decides on nevertheless.
    "no text": ("", 0),
    "no JSON": ("{", 0),
    "deep": ("[" * 100_000, 0),
    "null": ("null", 0),
    "list of texts": ('["x"]', 0),
    "list of two": (json.dumps([answer(3), answer(3)]), 0),
    "number": ("7", 0),
    "long number": ("9" * 5_000, 0),
    "nothing": ("{}", 0),
    "notes only": ('{"meta": "{}"}', 0),
    "unknown names": (json.dumps(answer(3) | {"item-003": {"Confirmed": False}, "colour": "red"}), 3),
    "half a character": (json.dumps(answer(3) | {"\ud800": {"Confirmed": True}}), 3),
    "texts for truths": (json.dumps(answer(3) | {"item-000": {"Confirmed": "true"}}), 2),
    "numbers for truths": (json.dumps(answer(3) | {"item-000": {"Confirmed": 1}}), 2),
    "null for a truth": (json.dumps(answer(3) | {"item-000": {"Confirmed": None}}), 2),
    "no object for a picture": (json.dumps(answer(3) | {"item-000": True, "item-001": [True]}), 1),
    "another field": (json.dumps(answer(3) | {"item-000": {"ok": True}}), 2),
    "doubled name": (json.dumps(answer(3))[:-1] + ', "item-000": {"Confirmed": false}}', 2),
    "missing picture": (json.dumps(answer(2)), 2),
    "a megabyte of names": (json.dumps(answer(3) | {f"x{'y' * 90}{n}": 1 for n in range(10_000)}), 3),
    "a name of a megabyte": (json.dumps(answer(3) | {"y" * 1_000_000: 1}), 3),
}


@pytest.mark.parametrize(("text", "decided"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_bad_answer_costs_nothing_but_itself(cloud: Cloud, text: str, decided: int) -> None:
    """What cannot be read of an answer is reported and not counted; its other parts and answers are.

    Neither the reply nor the log grows with what a worker sends.
    """
    bad, good = launched(cloud, 6, batch_size=3)
    reply = deliver(cloud, entry(0, {ANA: text, BEN: answer(3)}), entry(1, {CEM: answer(3)}))
    assert ids(reply) == ["0", "1"]
    given = table_counts(cloud, bad)
    assert sum(map(sum, given)) == decided + 3
    assert all(row == (row[0], 0, 0) for row in given)
    assert table_counts(cloud, good) == [(1, 0, 0)] * 3
    assert sum(content(reply)["decisions"].values()) == decided + 3
    assert cloud.metrics()["RefusedParts"] >= 1
    assert "parts refused" in cloud.written()
    assert ANA in cloud.written()
    assert len(json.dumps(reply)) < 1_000
    assert len(cloud.written()) < 10_000


def test_cannot_judge_wins_over_confirmed(cloud: Cloud) -> None:
    """A picture that the page sent as both confirmed and not to be told counts as not to be told."""
    (keys,) = launched(cloud, 2)
    both = answer(2) | {"item-001": {"Confirmed": True, "CannotJudge": True}}
    deliver(cloud, entry(0, {ANA: both}))
    assert table_counts(cloud, keys) == [(1, 0, 0), (0, 0, 1)]


@pytest.mark.parametrize("batched", [True, False], ids=["batch file", "batch in the line"])
def test_a_labeling_job_is_the_same_in_any_case(cloud: Cloud, batched: bool) -> None:
    """The ARN in capitals names the same job: the same answers are the same votes."""
    (keys,) = launched(cloud, 3)
    one = entry(0, {ANA: answer(3)})
    if not batched:
        one = payload_entry("0", {"content": cloud.store.blobs.read(BATCH).decode()}, {ANA: answer(3)})
    cloud.put(PAYLOAD, [one])
    post = cloud.function("post_labeling")
    for name in ("dogs-round-1", "Dogs-Round-1", "DOGS-ROUND-1"):
        arn = f"arn:aws:sagemaker:us-east-1:123456789012:labeling-job/{name}"
        post(event("post-labeling", labelingJobArn=arn))
    assert table_counts(cloud, keys) == [(1, 0, 0)] * 3
    (voter,) = cloud.rows()[keys[0]].confirmed_by
    assert voter == f"{'dogs' if batched else 'dogs-round-1'}/{ANA}"


@pytest.mark.parametrize(
    "name", ["2026-01-31_10:20:30.json", "a b+c.json", "100%.json", "50%25%2F.json", "犬 #1?.json"]
)
def test_a_key_is_taken_as_it_stands(cloud: Cloud, name: str) -> None:
    """Colons, spaces, percent signs and whatever else in the keys of payload and answers are themselves."""
    (keys,) = launched(cloud, 2)
    place = cloud.put(f"answers of {name}", answer(2))
    one = entry(0, {})
    one["annotations"] = [{"workerId": ANA, "annotationData": {"s3Uri": place}}]
    where = {"s3Uri": cloud.put(f"jobs/dogs/output/x/{name}", [one])}
    cloud.function("post_labeling")(event("post-labeling", payload=where))
    assert table_counts(cloud, keys) == [(1, 0, 0)] * 2


OPTIONAL = (
    "version",
    "labelCategories",
    "roleArn",
    "outputConfig",
    "maxHumanWorkersPerDataObject",
    "vpcEnabled",
)


@pytest.mark.parametrize("missing", [*OPTIONAL, "labelingJobArn", None])
@pytest.mark.parametrize("null", [True, False], ids=["null", "absent"])
def test_what_is_not_needed_may_be_missing(cloud: Cloud, missing: str | None, null: bool) -> None:
    """Every undocumented or unneeded part of the event may be null or absent; a version may be any."""
    (keys,) = launched(cloud, 2)
    cloud.put(PAYLOAD, [entry(0, {ANA: answer(2)})])
    asked = event("post-labeling", version="2040-12-24", kmsKeyId=None)
    if missing is not None:
        del asked[missing]
        asked |= {missing: None} if null else {}
    assert ids(cloud.function("post_labeling")(asked)) == ["0"]
    assert table_counts(cloud, keys) == [(1, 0, 0)] * 2


@pytest.mark.slow
@pytest.mark.parametrize("size", [51, 100])
def test_a_large_page_is_counted_whole(cloud: Cloud, size: int) -> None:
    """A page of more pictures than any one write takes is counted picture by picture."""
    (keys,) = launched(cloud, size, batch_size=100)
    deliver(cloud, entry(0, dict.fromkeys(WORKERS, answer(size, wrong=[size - 1]))))
    assert table_counts(cloud, keys) == [(3, 0, 0)] * (size - 1) + [(0, 3, 0)]


def test_a_picture_twice_on_a_page_gets_one_vote_of_a_worker(cloud: Cloud) -> None:
    """Launches make no such page; one made elsewhere breaks nothing, and each worker counts once a row."""
    (keys,) = launched(cloud, 2)
    entries = json.loads(cloud.store.blobs.read(BATCH))
    cloud.put(BATCH, [entries[0], entries[1], entries[0]])
    deliver(cloud, entry(0, dict.fromkeys(WORKERS, answer(3))))
    assert table_counts(cloud, keys) == [(3, 0, 0)] * 2


# Objects and payloads that are not as they should be.


@pytest.mark.parametrize(
    "bad",
    [
        None,
        7,
        "text",
        [],
        {},
        {"datasetObjectId": "7"},
        {"datasetObjectId": "7", "annotations": []},
        {"datasetObjectId": "7", "dataObject": {}, "annotations": []},
        {"datasetObjectId": "7", "dataObject": {"s3Uri": 7}, "annotations": []},
        {"datasetObjectId": "7", "dataObject": {"content": {}}, "annotations": []},
        entry(7, {ANA: answer(2)}),
        entry(0, {ANA: answer(2)}) | {"datasetObjectId": None},
        {"dataObject": entry(0, {})["dataObject"], "annotations": []},
        entry(0, {}) | {"datasetObjectId": "7", "annotations": None},
        entry(0, {}) | {"datasetObjectId": "7", "annotations": "none"},
        payload_entry("7", {"s3Uri": "s3://somebody-elses/x.json"}, {ANA: answer(2)}),
        payload_entry("7", {"s3Uri": "s3://bulkqa-data/jobs/../x.json"}, {ANA: answer(2)}),
        payload_entry("7", {"content": "no batch"}, {ANA: answer(2)}),
    ],
    ids=lambda bad: json.dumps(bad)[:100],
)
def test_an_object_that_cannot_be_read_is_left_out(cloud: Cloud, bad: object) -> None:
    """An object without id, batch or annotations has no result and is reported; the others have theirs."""
    (keys,) = launched(cloud, 2)
    reply = deliver(cloud, bad, entry(0, {BEN: answer(2)}))
    assert ids(reply) == ["0"]
    assert table_counts(cloud, keys) == [(1, 0, 0)] * 2
    assert cloud.metrics()["RefusedObjects"] == 1


@pytest.mark.parametrize("data", [b"", b"[{", b"\xff", b"{}", b"null"])
def test_an_object_whose_batch_is_malformed_is_left_out(cloud: Cloud, data: bytes) -> None:
    """Answers to a page that cannot be read say nothing; the other pages' answers are counted."""
    pages = launched(cloud, 4, batch_size=2)
    cloud.put(BATCH, data)
    reply = deliver(cloud, entry(0, {ANA: answer(2)}), entry(1, {ANA: answer(2)}))
    assert ids(reply) == ["1"]
    assert [table_counts(cloud, keys) for keys in pages] == [[(0, 0, 0)] * 2, [(1, 0, 0)] * 2]
    assert BATCH in cloud.written()


def test_a_text_that_is_no_unicode_harms_no_other_object(cloud: Cloud) -> None:
    """A batch file may spell half a character; the reply can be sent, with the other objects' results."""
    pages = launched(cloud, 4, batch_size=2)
    cloud.put(BATCH, cloud.store.blobs.read(BATCH).replace(b"Dog", b"Dog\\ud800"))
    reply = deliver(cloud, entry(0, {ANA: answer(2)}), entry(1, {ANA: answer(2)}))
    assert "1" in ids(reply)
    assert table_counts(cloud, pages[1]) == [(1, 0, 0)] * 2


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "text",
        {},
        {"workerId": ANA},
        {"workerId": ANA, "annotationData": None},
        {"workerId": ANA, "annotationData": "{}"},
        {"workerId": ANA, "annotationData": {}},
        {"workerId": ANA, "annotationData": {"content": answer(2)}},
        {"workerId": ANA, "annotationData": {"s3Uri": "s3://bulkqa-data/not/there.json"}},
        {"workerId": ANA, "annotationData": {"s3Uri": "s3://somebody-elses/x.json"}},
        {"workerId": 7, "annotationData": {"content": "{}"}},
        {"annotationData": {"content": json.dumps(answer(2))}},
    ],
    ids=lambda bad: json.dumps(bad)[:100],
)
def test_an_annotation_that_cannot_be_read_is_left_out(cloud: Cloud, bad: object) -> None:
    """An annotation without worker or answer is reported; the object has its result from the others."""
    (keys,) = launched(cloud, 2)
    one = entry(0, {BEN: answer(2, wrong=[0])})
    one["annotations"].insert(0, bad)
    reply = deliver(cloud, one)
    assert content(reply)["workers"] == 1
    assert table_counts(cloud, keys) == [(0, 1, 0), (1, 0, 0)]
    assert cloud.metrics()["RefusedParts"] == 1


@pytest.mark.parametrize("worker", ["", "a/b", "犬", "w" * 2_000, "../../etc"])
def test_a_workers_id_may_be_any_text(cloud: Cloud, worker: str) -> None:
    """Nothing is read out of a worker's id: whatever it is, it votes once and under it."""
    (keys,) = launched(cloud, 2)
    for _ in range(2):
        deliver(cloud, entry(0, {worker: answer(2)}))
    assert cloud.rows()[keys[0]].confirmed_by == {f"dogs/{worker}"}
    assert all(key.startswith("jobs/dogs/") for key in cloud.files())


@unmeasured
@pytest.mark.parametrize("data", [b"", b"[{", b"{}", b"null", b'"text"', b"\xff", b"[" * 100_000])
def test_a_payload_that_is_no_list_is_an_error_that_names_it(cloud: Cloud, data: bytes) -> None:
    """Of a payload that cannot be read nothing can be returned: the function fails and says which it was."""
    (keys,) = launched(cloud, 2)
    cloud.put(PAYLOAD, data)
    with pytest.raises(InputError, match="consolidation-request"):
        cloud.function("post_labeling")(event("post-labeling"))
    assert table_counts(cloud, keys) == [(0, 0, 0)] * 2


@unmeasured
@pytest.mark.parametrize(
    "changes",
    [
        {"payload": None},
        {"payload": {}},
        {"payload": {"s3Uri": None}},
        {"payload": {"s3Uri": "s3://bulkqa-data/not/there.json"}},
        {"payload": {"s3Uri": "s3://somebody-elses/x.json"}},
        {"labelAttributeName": None},
        {"labelAttributeName": ""},
    ],
    ids=str,
)
def test_an_event_without_a_payload_or_attribute_is_an_error(cloud: Cloud, changes: dict[str, Any]) -> None:
    """Without a payload, or without a name for the results, the function fails and counts nothing."""
    (keys,) = launched(cloud, 2)
    cloud.put(PAYLOAD, [entry(0, {ANA: answer(2)})])
    with pytest.raises(InputError):
        cloud.function("post_labeling")(event("post-labeling", **changes))
    assert table_counts(cloud, keys) == [(0, 0, 0)] * 2


@unmeasured
@pytest.mark.parametrize("operation", ["GetObject", "PutObject", "UpdateItem"])
def test_a_store_that_fails_is_an_error(cloud: Cloud, operation: str) -> None:
    """Where the store refuses to read, keep or count, the event is not acknowledged."""
    launched(cloud, 2)
    cloud.put(PAYLOAD, [entry(0, {ANA: answer(2)})])
    post = cloud.function("post_labeling")
    cloud.traffic.refuse(operation, "AccessDenied", 403)
    with pytest.raises(BulkqaError, match="AccessDenied"):
        post(event("post-labeling"))


@unmeasured
def test_nothing_is_counted_that_is_not_kept(cloud: Cloud) -> None:
    """Answers are written before their votes: without the file, no vote."""
    (keys,) = launched(cloud, 2)
    cloud.put(PAYLOAD, [entry(0, {ANA: answer(2)})])
    post = cloud.function("post_labeling")
    cloud.traffic.refuse("PutObject", "AccessDenied", 403)
    with pytest.raises(BulkqaError):
        post(event("post-labeling"))
    cloud.traffic.on_call = None
    assert table_counts(cloud, keys) == [(0, 0, 0)] * 2


def test_a_worker_twice_in_an_object_votes_once(cloud: Cloud) -> None:
    """A worker who comes twice has one vote on each picture, and the result says the same as the table."""
    (keys,) = launched(cloud, 2)
    one = entry(0, {ANA: answer(2)})
    one["annotations"] += entry(0, {ANA: answer(2, wrong=[1])})["annotations"]
    result = content(deliver(cloud, one))
    assert table_counts(cloud, keys) == [(1, 0, 0)] * 2
    assert (result["workers"], result["decisions"]) == (1, {"confirm": 2})
    assert result["confirmed"] == [0, 1]


@pytest.mark.parametrize("text", ["", "no JSON", "{}", '{"item-000": {"Confirmed": "yes"}}'])
def test_an_answer_that_says_nothing_stands_in_nobodys_way(cloud: Cloud, text: str) -> None:
    """Of a worker who comes twice, first with an answer that decides nothing, the good one counts."""
    (keys,) = launched(cloud, 2)
    one = entry(0, {ANA: text})
    one["annotations"] += entry(0, {ANA: answer(2)})["annotations"]
    deliver(cloud, one)
    assert table_counts(cloud, keys) == [(1, 0, 0)] * 2


def test_an_object_in_two_parts_is_one(cloud: Cloud) -> None:
    """An object whose answers stand in two entries of a payload has one result, of all of them."""
    (keys,) = launched(cloud, 2)
    reply = deliver(cloud, entry(0, {ANA: answer(2)}), entry(0, {BEN: answer(2), CEM: answer(2)}))
    assert ids(reply) == ["0"]
    assert content(reply)["workers"] == 3
    assert table_counts(cloud, keys) == [(3, 0, 0)] * 2


def test_an_object_twice_in_a_payload_has_one_result(cloud: Cloud) -> None:
    """An object that comes twice, with an answer twice, has one result, which says the same as the table."""
    (keys,) = launched(cloud, 2)
    reply = deliver(cloud, entry(0, {ANA: answer(2)}), entry(0, {ANA: answer(2), BEN: answer(2)}))
    assert ids(reply) == ["0"]
    assert table_counts(cloud, keys) == [(2, 0, 0)] * 2
    assert (content(reply)["workers"], content(reply)["decisions"]) == (2, {"confirm": 4})


def test_two_objects_of_one_batch_have_a_result_each(cloud: Cloud) -> None:
    """A manifest that names a batch twice gives two objects; a worker of both votes once a picture."""
    (keys,) = launched(cloud, 2)
    other = entry(0, {ANA: answer(2), BEN: answer(2)}) | {"datasetObjectId": "5"}
    assert ids(deliver(cloud, entry(0, {ANA: answer(2)}), other)) == ["0", "5"]
    assert table_counts(cloud, keys) == [(2, 0, 0)] * 2


def test_an_empty_payload_has_no_results(cloud: Cloud) -> None:
    """Where nothing was handed over nothing is returned, and no call of the table is made."""
    assert deliver(cloud) == []
    assert cloud.traffic.number_of("UpdateItem") == 0


def test_a_picture_without_a_row_is_reported_and_not_invented(cloud: Cloud) -> None:
    """A vote on a picture that the table does not know makes no row; the other votes count."""
    (keys,) = launched(cloud, 3)
    entries = json.loads(cloud.store.blobs.read(BATCH))
    entries[1]["s3_image_url"] = "s3://bulkqa-data/unheard-of.jpg"
    cloud.put(BATCH, entries)
    reply = deliver(cloud, entry(0, dict.fromkeys(WORKERS, answer(3))))
    assert content(reply)["unknown"] == [1]
    assert cloud.rows().keys() == set(keys)
    assert table_counts(cloud, keys) == [(3, 0, 0), (0, 0, 0), (3, 0, 0)]
    assert cloud.metrics()["UnknownRows"] >= 1


def test_a_known_answer_is_never_a_vote(cloud: Cloud) -> None:
    """A picture with a check mark gives no vote and stands in no result, though its row exists."""
    (keys,) = launched(cloud, 3)
    entries = json.loads(cloud.store.blobs.read(BATCH))
    entries[1] |= {"check": "wrong", "source_label": "Wolf"}
    cloud.put(BATCH, entries)
    result = content(deliver(cloud, entry(0, {ANA: answer(3), BEN: answer(3, wrong=[1])})))
    assert table_counts(cloud, keys) == [(2, 0, 0), (0, 0, 0), (2, 0, 0)]
    assert result["confirmed"] == [0, 2]
    assert not result.keys() & {"split", "disconfirmed", "unreviewed", "unknown"}
    assert "Wolf" not in json.dumps(result)


# What is kept, and what it costs.


def test_the_answers_are_kept_and_make_the_table_again(cloud: Cloud) -> None:
    """From the files under answers/ alone a replay counts the same votes; on the right table, none."""
    launched(cloud, 6, batch_size=3)
    cloud.put("jobs/dogs/job.json", JobSettings(job="dogs", corpus_name="c.csv").to_json(CREATED))
    deliver(cloud, entry(0, {ANA: answer(3, wrong=[1]), BEN: answer(3)}), entry(1, {ANA: answer(3)}))
    deliver(cloud, entry(1, {CEM: "no answer", BEN: answer(3, unsure=[0])}))
    before = cloud.rows()
    kept = [key for key in cloud.files() if key.startswith("jobs/dogs/answers/")]
    assert len(kept) == 2
    assert steps.replay("dogs", cloud.store, quiet).recorded.counted == 0
    assert cloud.rows() == before
    _empty_table(cloud)
    replayed = steps.replay("dogs", cloud.store, quiet)
    assert (replayed.recorded.counted, replayed.unreadable) == (12, ())
    assert cloud.rows() == before


def test_an_answer_in_a_file_is_kept_whole(cloud: Cloud) -> None:
    """What is kept of an answer that lay in a file is the answer: the file may go."""
    (keys,) = launched(cloud, 2)
    cloud.put("jobs/dogs/job.json", JobSettings(job="dogs", corpus_name="c.csv").to_json(CREATED))
    place = cloud.put("elsewhere/answer.json", answer(2, wrong=[0]))
    one = entry(0, {})
    one["annotations"] = [{"workerId": ANA, "annotationData": {"s3Uri": place}}]
    deliver(cloud, one)
    before = cloud.rows()
    cloud.s3.delete_object(Bucket=cloud.bucket, Key="elsewhere/answer.json")
    _empty_table(cloud)
    assert steps.replay("dogs", cloud.store, quiet).recorded.counted == 2
    assert cloud.rows() == before
    assert counts(before[keys[0]]) == (0, 1, 0)


def test_an_event_again_is_kept_once(cloud: Cloud) -> None:
    """The same answers delivered again, as another payload, are the same file."""
    launched(cloud, 2)
    deliver(cloud, entry(0, {ANA: answer(2)}))
    before = cloud.files()
    where = {"s3Uri": cloud.put("jobs/dogs/output/other.json", [entry(0, {ANA: answer(2)})])}
    cloud.function("post_labeling")(event("post-labeling", payload=where))
    assert cloud.files().keys() - before.keys() == {"jobs/dogs/output/other.json"}


def _empty_table(cloud: Cloud) -> None:
    client = cloud.dynamodb
    for image, label in cloud.rows():
        key = {"s3_image_url": {"S": image}, "label": {"S": label}}
        client.delete_item(TableName=cloud.table, Key=key)


def test_each_batch_file_is_read_once_an_event(cloud: Cloud) -> None:
    """However many workers and objects answer to a batch, its file is read once."""
    launched(cloud, 6, batch_size=3)
    entries = [entry(number, dict.fromkeys(WORKERS, answer(3))) for number in (0, 1)]
    cloud.put(PAYLOAD, [*entries, entries[0] | {"datasetObjectId": "9"}])
    post = cloud.function("post_labeling")
    cloud.traffic.calls.clear()
    post(event("post-labeling"))
    read = sorted(
        arguments["Key"] for operation, arguments in cloud.traffic.calls if operation == "GetObject"
    )
    assert read == [BATCH, BATCH.replace("0.json", "1.json"), PAYLOAD]


def test_votes_cost_one_write_a_picture(cloud: Cloud) -> None:
    """Three workers' votes on a picture are one write; delivered again, they are one that is refused."""
    launched(cloud, 20, batch_size=10)
    entries = [entry(number, dict.fromkeys(WORKERS, answer(10, wrong=[number]))) for number in (0, 1)]
    for most in (1.05, 1.0):
        cloud.traffic.calls.clear()
        deliver(cloud, *entries)
        assert 0.9 <= cloud.traffic.number_of("UpdateItem") / 20 <= most
        assert cloud.traffic.number_of("GetItem") == 0
    assert cloud.metrics()["VotesAlreadyCounted"] == 60


def test_a_reply_stays_small(cloud: Cloud) -> None:
    """1,500 objects of 25 pictures and 3 workers, with the longest label there can be, fit into 6 MB.

    With a usual label even 5,000 do, which is what Ground Truth may have under way at once.
    """
    launched(cloud)
    batch = json.loads(cloud.store.blobs.read(BATCH))
    split = {ANA: answer(wrong=range(10)), BEN: answer(unsure=[3]), CEM: answer()}
    texts = {worker: json.dumps(one) for worker, one in split.items()}
    usual = deliver(cloud, entry(0, texts))
    assert len(json.dumps(usual)) * 5_000 < MAX_REPLY
    cloud.put(BATCH, [one | {"label": "犬" * 341} for one in batch])
    cloud.put(PAYLOAD, [entry(0, texts) | {"datasetObjectId": str(number)} for number in range(1_500)])
    reply = cloud.function("post_labeling")(event("post-labeling"))
    assert len(reply) == 1_500
    assert len(json.dumps(reply)) < MAX_REPLY


def test_a_log_does_not_grow_with_what_is_wrong(cloud: Cloud) -> None:
    """Of a thousand bad answers a few are named in the log, and no picture's address."""
    launched(cloud, 2)
    workers = {f"private.us-east-1.{number:04d}": "{}" for number in range(1_000)}
    deliver(cloud, entry(0, workers))
    assert cloud.metrics()["RefusedParts"] == 2_000
    assert len(cloud.written()) < 10_000
    assert ".jpg" not in cloud.written()
