"""A parser of YAML 1.2 (core schema) that records the line of every value, so that error messages can name the line.

PyYAML implements YAML 1.1: it resolves ``on``, ``no`` and ``12_3`` to booleans and numbers, and silently accepts
duplicate keys. Therefore only its scanner is used, and values are resolved in this module. Keys are always text.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import yaml

Path = tuple[str | int, ...]

_MAX_DEPTH = 20
_MAX_VALUES = 100_000  # This is enough for thousands of organizations, and is read within a few seconds.
_MAX_EXPONENT = 1_000
_MAX_CHARACTERS_FOR_SLOW_PARSER = 100_000
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = {"", "~", "null", "Null", "NULL"}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL_OR_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


_TOO_DEEP = f"the YAML is nested more than {_MAX_DEPTH} levels deep"
_TOO_MANY_VALUES = f"more than {_MAX_VALUES:,} values, where every use of an alias counts again"

# PyYAML may be installed without libyaml, whose parser is ten times faster.
_FAST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlError(ValueError):
    """The text is not valid YAML; the message names the line."""


class Document:
    """The value of a YAML document with the line of each of its parts."""

    def __init__(self, text: str) -> None:
        """Parse a YAML text. Raises `YamlError` if the text is invalid, too large or too deeply nested."""
        self._lines: dict[Path, int] = {}
        self._values = 0
        try:
            root = _compose(text)
        except RecursionError:  # the slow parser, which accepts some texts that the fast one rejects
            raise YamlError(_TOO_DEEP) from None
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise YamlError(f"line {line}: {error.problem or 'this is not valid YAML'}") from None
        except yaml.YAMLError as error:
            raise YamlError(f"this is not valid YAML: {' '.join(str(error).split())}") from None
        self.value: Any = None if root is None else self._read(root, ())

    def line(self, path: Path) -> int | None:
        """Return the line of the setting at a path, or of the nearest section above it, counted from 1."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path)

    def _read(self, node: yaml.Node, path: Path) -> Any:
        # Messages name the line of a key, so the line is recorded before the value of the key is read.
        line = self._lines.setdefault(path, node.start_mark.line + 1)
        if len(path) > _MAX_DEPTH:
            raise YamlError(f"line {line}: {_TOO_DEEP}")
        # A few lines of aliases of aliases can stand for billions of values.
        self._values += 1
        if self._values > _MAX_VALUES:
            raise YamlError(f"line {line}: {_TOO_MANY_VALUES}")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._read(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - YAML has three kinds of nodes
        try:
            # A quoted value is always text, even if it looks like a number.
            return node.value if node.style else _scalar(node)
        # Python refuses to convert an integer of more than 4,300 digits.
        except (ValueError, ArithmeticError):
            raise YamlError(f"line {line}: this number is too long") from None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise YamlError(f"line {line}: a key must be text")
            key = str(key_node.value)
            if key in mapping:
                first = self._lines[(*path, key)]
                raise YamlError(f"line {line}: duplicate key {key!r} (first in line {first})")
            self._lines[(*path, key)] = line
            mapping[key] = self._read(value_node, (*path, key))
        return mapping


def _scalar(node: yaml.ScalarNode) -> Any:
    text = str(node.value)
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OCTAL_OR_HEX.fullmatch(text):
        return int(text, 0)
    if not _DECIMAL.fullmatch(text):
        return text
    number = Decimal(text)
    # A short text such as 1e999999999 would fill the memory as soon as all of its digits are written.
    if abs(number.adjusted()) > _MAX_EXPONENT or abs(int(number.as_tuple().exponent)) > _MAX_EXPONENT:
        raise ValueError("exponent out of range")
    return number


def _compose(text: str) -> yaml.Node | None:
    """Parse a text with libyaml if available. On an error, parse again with PyYAML, whose messages are clearer."""
    try:
        _reject_excessive_size(text)
        return yaml.compose(text, Loader=_FAST_LOADER)
    except yaml.YAMLError:
        if len(text) > _MAX_CHARACTERS_FOR_SLOW_PARSER:
            raise
        return yaml.compose(text, Loader=yaml.SafeLoader)


def _reject_excessive_size(text: str) -> None:
    """Raise `YamlError` for too many values, and for deep nesting, at which the composer of libyaml would crash."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_FAST_LOADER)):
        line = event.start_mark.line + 1 if event.start_mark else 1
        # The parser reports at most three events for each value: its key, its beginning and its end. The limit counts
        # values, so three times as many events are allowed.
        if number > 3 * _MAX_VALUES:
            raise YamlError(f"line {line}: {_TOO_MANY_VALUES}")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH + 1:
            raise YamlError(f"line {line}: {_TOO_DEEP}")
