"""Verdicts as TFMA's ValidationResult: written as protobuf JSON or text format, and read back.

Only what did not pass is in it. A check that lacks data is a failure whose message says so.
"""

import struct
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from bulkqa.errors import InputError
from bulkqa.evaluation import schema
from bulkqa.evaluation.eval_config import change_threshold, cross_spec, slice_spec, value_threshold
from bulkqa.flow.gate import NOT_ENOUGH, Check, Verdict
from bulkqa.flow.limits import Outcome, Threshold, ValueThreshold
from bulkqa.flow.slices import (
    AnySlice,
    AnySpec,
    CrossSlice,
    CrossSliceSpec,
    Feature,
    MetricKey,
    Slice,
    SliceSpec,
    SubKey,
)


def to_message(verdict: Verdict) -> Any:
    """Return a verdict as a ValidationResult.

    >>> schema.as_json(to_message(Verdict(ok=False, missing_slices=(SliceSpec(("age",)),))))
    {'missing_slices': [{'feature_keys': ['age']}]}
    """
    result = schema.message_type("ValidationResult")(
        validation_ok=verdict.ok,
        missing_thresholds=verdict.missing_thresholds,
        rubber_stamp=verdict.rubber_stamp,
    )
    for spec in verdict.missing_slices:
        _put_spec(result.missing_slices.add(), spec)
    for cross in verdict.missing_cross_slices:
        _put_cross_spec(result.missing_cross_slices.add(), cross)
    of_slice: dict[AnySlice, Any] = {}
    for check in verdict.checks:
        if check.outcome is not Outcome.PASSED:
            if check.slice not in of_slice:
                of_slice[check.slice] = result.metric_validations_per_slice.add()
                _put_any_slice(of_slice[check.slice], check.slice)
            _put_failure(of_slice[check.slice].failures.add(), check)
    for place, number in verdict.details:
        details = result.validation_details.slicing_details.add(num_matching_slices=number)
        if isinstance(place, CrossSliceSpec):
            _put_cross_spec(details.cross_slicing_spec, place)
        else:
            _put_spec(details.slicing_spec, place)
    return result


def _put_failure(failure: Any, check: Check) -> None:
    _put_metric(failure.metric_key, check.metric)
    _put_threshold(failure.metric_threshold, check.threshold)
    if check.value is not None:
        failure.metric_value.double_value.value = check.value
    failure.message = check.message


def _put_threshold(message: Any, threshold: Threshold) -> None:
    if isinstance(threshold, ValueThreshold):
        part = message.value_threshold
        numbers = {"lower_bound": threshold.lower, "upper_bound": threshold.upper}
    else:
        part = message.change_threshold
        part.direction = int(threshold.direction)
        numbers = {"absolute": threshold.absolute, "relative": threshold.relative}
    part.SetInParent()
    for field, number in numbers.items():
        if number is not None:
            getattr(part, field).value = number


def _put_metric(message: Any, metric: MetricKey) -> None:
    message.name, message.model_name, message.output_name = metric.name, metric.model, metric.output
    message.is_diff = metric.is_diff
    for field, value in (metric.sub_key._asdict() if metric.sub_key else {}).items():
        if value is not None:
            getattr(message.sub_key, field).value = value
    if metric.aggregation:
        setattr(message.aggregation_type, metric.aggregation, True)
    if metric.example_weighted is not None:
        message.example_weighted.value = metric.example_weighted


def _put_any_slice(message: Any, place: AnySlice) -> None:
    if isinstance(place, CrossSlice):
        _put_slice(message.cross_slice_key.baseline_slice_key, place.baseline)
        _put_slice(message.cross_slice_key.comparison_slice_key, place.comparison)
    else:
        _put_slice(message.slice_key, place)


def _put_slice(message: Any, slice: Slice) -> None:
    message.SetInParent()
    for column, value in slice:
        if isinstance(value, str):
            message.single_slice_keys.add(column=column, bytes_value=value.encode())
        elif isinstance(value, int):
            message.single_slice_keys.add(column=column, int64_value=value)
        else:
            message.single_slice_keys.add(column=column, float_value=value)


def _put_spec(message: Any, spec: SliceSpec) -> None:
    message.SetInParent()
    message.feature_keys.extend(spec.keys)
    for key, value in spec.values:
        message.feature_values[key] = value


def _put_cross_spec(message: Any, spec: CrossSliceSpec) -> None:
    _put_spec(message.baseline_spec, spec.baseline)
    for one in spec.comparisons:
        _put_spec(message.slicing_specs.add(), one)


def read_verdict(data: bytes, name: str) -> Verdict:
    """Return a verdict that was kept: as JSON, as text, or in the record file that TFMA writes.

    It has the failed checks alone. Raises `InputError` naming the place that is no ValidationResult.

    >>> read_verdict(b"validation_ok: true", "kept.txt").ok
    True
    """
    if b"\0" in data:
        return _of_message(_of_record(data, name), name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: no UTF-8 text: {error.reason} at byte {error.start}") from None
    return _of_message(schema.parse(text, name, "ValidationResult"), name)


def _of_record(data: bytes, name: str) -> Any:
    """Return the message in a TFRecord file: its length in 8 bytes, 4 of a check sum, itself, 4 again."""
    length = int.from_bytes(data[:8], "little")
    if len(data) != length + 16:
        raise InputError(f"{name}: neither text nor a record file with one ValidationResult")
    try:
        return schema.message_type("ValidationResult").FromString(data[12:-4])
    except DecodeError:
        raise InputError(f"{name}: its record is no ValidationResult") from None


def _of_message(message: Any, name: str) -> Verdict:
    try:
        checks = [
            _failure(_any_slice(part), failure)
            for part in message.metric_validations_per_slice
            for failure in part.failures
        ]
        missing = tuple(map(slice_spec, message.missing_slices))
        missing_cross = tuple(map(cross_spec, message.missing_cross_slices))
        details = tuple(
            (_any_spec(one), one.num_matching_slices) for one in message.validation_details.slicing_details
        )
    except (InputError, ValueError) as error:
        raise InputError(f"{name}: {error}") from None
    nothing_wrong = not (checks or missing or missing_cross or message.missing_thresholds)
    return Verdict(
        ok=message.validation_ok and nothing_wrong,
        checks=tuple(checks),
        missing_thresholds=message.missing_thresholds,
        missing_slices=missing,
        missing_cross_slices=missing_cross,
        details=details,
        rubber_stamp=message.rubber_stamp,
        is_kept=True,
    )


def _failure(place: AnySlice, failure: Any) -> Check:
    threshold: Threshold = value_threshold(failure.metric_threshold.value_threshold)
    if failure.metric_threshold.HasField("change_threshold"):
        threshold = change_threshold(failure.metric_threshold.change_threshold)
    result = Outcome.UNDECIDED if failure.message.startswith(NOT_ENOUGH) else Outcome.FAILED
    value = None
    if kind := failure.metric_value.WhichOneof("type"):
        found = getattr(failure.metric_value, kind)
        value = (found if kind == "double_value" else found.value).value
    return Check(place, _metric(failure.metric_key), threshold, result, value, None, failure.message)


def _metric(message: Any) -> MetricKey:
    sub_key = message.sub_key if message.HasField("sub_key") else None
    parts = {
        field: getattr(sub_key, field).value if sub_key is not None and sub_key.HasField(field) else None
        for field in SubKey._fields
    }
    aggregation = message.aggregation_type.WhichOneof("type")
    return MetricKey(
        message.name,
        message.model_name,
        message.output_name,
        None if sub_key is None else SubKey(**parts),
        aggregation if aggregation and getattr(message.aggregation_type, aggregation) else None,
        message.example_weighted.value if message.HasField("example_weighted") else None,
        message.is_diff,
    )


def _any_slice(message: Any) -> AnySlice:
    if message.WhichOneof("slice_key_oneof") == "cross_slice_key":
        cross = message.cross_slice_key
        return CrossSlice(_slice(cross.baseline_slice_key), _slice(cross.comparison_slice_key))
    return _slice(message.slice_key)


def _slice(message: Any) -> Slice:
    return tuple((one.column, _feature(one)) for one in message.single_slice_keys)


def _feature(message: Any) -> Feature:
    kind = message.WhichOneof("kind")
    if kind == "bytes_value":
        return str(message.bytes_value.decode("utf-8", "replace"))
    if kind is None:
        raise InputError(f"the slice's feature {message.column!r} has no value")
    return _shortest(message.float_value) if kind == "float_value" else int(message.int64_value)


def _shortest(value: float) -> float:
    """Return the number of fewest digits that is the same in the 32 bits a slice's value has."""
    texts = (f"{value:.{digits}g}" for digits in range(6, 10))
    return next((float(text) for text in texts if _in_32_bits(float(text)) == value), value)


def _in_32_bits(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


def _any_spec(message: Any) -> AnySpec:
    if message.WhichOneof("slicing_spec_oneof") == "cross_slicing_spec":
        return cross_spec(message.cross_slicing_spec)
    return slice_spec(message.slicing_spec)
