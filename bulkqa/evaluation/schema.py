"""TFMA's messages, by the protobuf runtime: what `tfma.proto` says, read when this module is loaded.

No code is generated, so there is none that has to fit the runtime's version, and nobody needs a compiler: the
`.proto` file is the schema, and adding a field means adding its line. Only what that file uses is understood:
messages, enums, `repeated`, `map` and `oneof`.

The messages live in a pool of their own, so that TFMA itself may be loaded beside them.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    json_format,
    message_factory,
    text_format,
    wrappers_pb2,
)

from bulkqa.errors import InputError

_PACKAGE = "tensorflow_model_analysis."
_BLANK = "\ufeff \t\r\n"
_FILE = Path(__file__).with_name("tfma.proto")
_FIELD = descriptor_pb2.FieldDescriptorProto
_TOKEN = re.compile(r'"[^"]*"|[\w.]+|[{}=;<>,]')


class _Reader:
    """Makes the description of a `.proto` file that the runtime takes."""

    def __init__(self, text: str) -> None:
        self._tokens = iter(_TOKEN.findall(re.sub(r"//.*", "", text)))
        self._enums = set(re.findall(r"\benum (\w+)", text))
        self.file = descriptor_pb2.FileDescriptorProto(name=_FILE.name)
        for word in self._tokens:
            if word == "message":
                self._message(self.file.message_type.add())
            elif word == "enum":
                self._enum(self.file.enum_type.add())
            else:
                self._statement(word, self._until_end())

    def _statement(self, word: str, rest: list[str]) -> None:
        if word == "syntax":
            self.file.syntax = rest[-1].strip('"')
        elif word == "package":
            self.file.package = rest[0]
        else:
            self.file.dependency.append(rest[0].strip('"'))

    def _until_end(self) -> list[str]:
        return list(iter(lambda: next(self._tokens), ";"))

    def _body(self) -> Iterator[str]:
        """Yield the first words of what stands between braces."""
        yield from iter(lambda: next(self._tokens), "}")

    def _message(self, message: Any) -> None:
        message.name = next(self._tokens)
        next(self._tokens)
        for word in self._body():
            if word == "enum":
                self._enum(message.enum_type.add())
            elif word == "oneof":
                message.oneof_decl.add(name=next(self._tokens))
                next(self._tokens)
                for inner in self._body():
                    self._field(message, inner).oneof_index = len(message.oneof_decl) - 1
            else:
                self._field(message, word)

    def _enum(self, enum: Any) -> None:
        enum.name = next(self._tokens)
        next(self._tokens)
        for word in self._body():
            enum.value.add(name=word, number=int(self._until_end()[-1]))

    def _field(self, message: Any, first: str) -> Any:
        """Add a field, `[repeated] type name = number;`, or a map, `map<key, value> name = number;`."""
        *words, name, _, number = [first, *self._until_end()]
        field = message.field.add(name=name, number=int(number), label=_FIELD.LABEL_OPTIONAL)
        if words[0] == "map":  # a repeated message with a key and a value, as the runtime has it
            entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
            entry.options.map_entry = True
            for place, part in enumerate(("key", "value")):
                of_part = entry.field.add(name=part, number=place + 1, label=_FIELD.LABEL_OPTIONAL)
                self._type(of_part, words[2 + 2 * place])
            field.label, field.type = _FIELD.LABEL_REPEATED, _FIELD.TYPE_MESSAGE
            field.type_name = f"{message.name}.{entry.name}"
        else:
            if words[0] == "repeated":
                field.label = _FIELD.LABEL_REPEATED
            self._type(field, words[-1])
        return field

    def _type(self, field: Any, name: str) -> None:
        if f"TYPE_{name.upper()}" in _FIELD.Type.keys():  # noqa: SIM118  no mapping
            field.type = _FIELD.Type.Value(f"TYPE_{name.upper()}")
        else:
            field.type = _FIELD.TYPE_ENUM if name in self._enums else _FIELD.TYPE_MESSAGE
            field.type_name = name


def _pool() -> Any:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(_Reader(_FILE.read_text("utf-8")).file.SerializeToString())
    return pool


_POOL = _pool()


def message_type(name: str) -> Any:
    """Return the class of a message.

    >>> message_type("SlicingSpec")(feature_keys=["age"]).feature_keys[0]
    'age'
    """
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}{name}"))


def is_json(text: str) -> bool:
    """Say whether a file is JSON: text format never begins with a brace.

    >>> is_json(' {"slicing_specs": [{}]}'), is_json("slicing_specs {}")
    (True, False)
    """
    return text.lstrip(_BLANK)[:1] in ("{", "[")


def parse(text: str, name: str, message: str) -> Any:
    """Return a message from protobuf text format or protobuf JSON, told apart by what it says.

    Raises `InputError`, which names the file `name` and the line and column, or in JSON the path.

    >>> parse('feature_values { key: "country" value: "DE" }', "slice.txt", "SlicingSpec").feature_values
    {'country': 'DE'}
    >>> parse('{"feature_key": ["age"]}', "slice.json", "SlicingSpec")
    Traceback (most recent call last):
    bulkqa.errors.InputError: slice.json: SlicingSpec has no field 'feature_key': is 'feature_keys' meant?
    """
    found = message_type(message)()
    try:
        if is_json(text):
            _fill(found, load_json(text, name), name, "")
        else:
            text_format.Parse(text.lstrip("\ufeff"), found)
    except text_format.ParseError as error:
        where = f"{name}, line {error.GetLine()}, column {error.GetColumn()}"
        raise InputError(f"{where}: {_plain(str(error))}") from None
    except RecursionError:
        raise InputError(f"{name}: it is nested too deeply") from None
    return found


def load_json(text: str, name: str) -> Any:
    """Return what JSON says; a key that stands twice in an object is a fault, as any other."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            raise InputError(f"{name}: {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
        return found

    try:
        return json.loads(text.lstrip("\ufeff"), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise InputError(f"{name}, line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a number of too many digits
        raise InputError(f"{name}: {error}") from None


def as_text(message: Any) -> str:
    """Return a message in text format."""
    return str(text_format.MessageToString(message, as_utf8=True))


def as_json(message: Any) -> dict[str, Any]:
    """Return a message as protobuf JSON has it, with the fields' own names."""
    found: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return found


def _fill(message: Any, document: Any, name: str, path: str) -> None:
    """Set the fields of a message that a JSON object has, value by value, so that each fault has its path."""
    of_type = message.DESCRIPTOR
    if not isinstance(document, dict):
        _refuse(name, path, f"an object is needed, for {of_type.name}")
    fields = {field.name: field for field in of_type.fields} | {
        field.json_name: field for field in of_type.fields
    }
    chosen: dict[str, str] = {}
    for key, value in document.items():
        if key not in fields:
            _refuse(name, path, f"{of_type.name} has no field {key!r}{_meant(key, fields)}")
        field, inner = fields[key], f"{path}.{key}".lstrip(".")
        if field.containing_oneof and chosen.setdefault(field.containing_oneof.name, key) != key:
            _refuse(name, path, f"{chosen[field.containing_oneof.name]!r} and {key!r} exclude each other")
        inside = field.message_type
        if inside is None or value is None or inside.file.name.startswith("google/"):
            if isinstance(value, dict) and value.keys() == {"value"}:
                value = value["value"]  # a wrapper as text format has it
            _set(message, field.name, value, name, inner)
        elif inside.GetOptions().map_entry:
            if inside.fields_by_name["value"].message_type is None:
                _set(message, field.name, value, name, inner)
                continue
            if not isinstance(value, dict):
                _refuse(name, inner, "an object is needed")
            for entry, content in value.items():
                _fill(getattr(message, field.name)[entry], content, name, f"{inner}[{entry!r}]")
        elif field.is_repeated:
            if not isinstance(value, list):
                _refuse(name, inner, "a list is needed")
            for place, content in enumerate(value):
                _fill(getattr(message, field.name).add(), content, name, f"{inner}[{place}]")
        else:
            getattr(message, field.name).SetInParent()
            _fill(getattr(message, field.name), value, name, inner)


def _set(message: Any, field: str, value: Any, name: str, path: str) -> None:
    try:
        json_format.ParseDict({field: value}, message)
    except json_format.ParseError as error:
        _refuse(name, path, _plain(str(error)))


def _refuse(name: str, path: str, why: str) -> NoReturn:
    raise InputError(f"{name}, {path}: {why}" if path else f"{name}: {why}") from None


def _meant(word: str, words: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, set(words) - {"metrics_spec", "metricsSpec"}, 1)
    return f": is {near[0]!r} meant?" if near else ""


def _plain(message: str) -> str:
    """Return what a message of the runtime's says, without the place and the names of its own."""
    unknown = re.search(r'Message type "[\w.]*?(\w+)" has no field named "(\w+)"', message)
    if unknown:
        fields = [field.name for field in message_type(unknown[1]).DESCRIPTOR.fields]
        return f"{unknown[1]} has no field {unknown[2]!r}{_meant(unknown[2], fields)}"
    said = re.sub(r"^\d+:\d+ : ('.*': )?", "", message, flags=re.DOTALL)
    said = re.sub(r"^(Failed to parse \w+ field: )+| at [A-Z]\w+[\w.\[\]]*$|\.+$", "", said)
    return said.replace(_PACKAGE, "")
