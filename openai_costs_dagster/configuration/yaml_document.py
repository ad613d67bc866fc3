"""Reads YAML by the 1.2 core schema, keeping the line of every value.

PyYAML's scanner and its own resolver disagree with what people write: it reads ``on``, ``no`` and ``12_3`` as
booleans and numbers and lets the last of two equal keys win. Only its scanner is used here. Keys are always text.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import yaml

Path = tuple[str | int, ...]

_MAX_DEPTH = 20
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = {"", "~", "null", "Null", "NULL"}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL_OR_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


_FAST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlError(ValueError):
    """The text is no YAML that can be used; says the line."""


class Document:
    """A document's value, and where in the text each part of it stands."""

    def __init__(self, text: str) -> None:
        """Raises YamlError."""
        self._lines: dict[Path, int] = {}
        try:
            root = _compose(text)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise YamlError(f"line {line}: {error.problem or 'this is no YAML'}") from None
        except yaml.YAMLError as error:
            raise YamlError(f"this is no YAML: {' '.join(str(error).split())}") from None
        self.value: Any = None if root is None else self._read(root, ())

    def line(self, path: Path) -> int | None:
        """The line of the nearest part of a path that stands in the text, counted from 1."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path)

    def _read(self, node: yaml.Node, path: Path) -> Any:
        line = self._lines.setdefault(path, node.start_mark.line + 1)
        if len(path) > _MAX_DEPTH:
            raise YamlError(f"line {line}: nested without end")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._read(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - the composer knows three kinds
        try:
            return node.value if node.style else _scalar(node)
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
                raise YamlError(f"line {line}: {key!r} stands here a second time (first in line {first})")
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
    return Decimal(text) if _DECIMAL.fullmatch(text) else text


def _compose(text: str) -> yaml.Node | None:
    """By libyaml where PyYAML has it; what that refuses is read once more, so that the sentence is PyYAML's own."""
    try:
        _reject_deep_nesting(text)
        return yaml.compose(text, Loader=_FAST_LOADER)
    except yaml.YAMLError:
        return yaml.compose(text, Loader=yaml.SafeLoader)


def _reject_deep_nesting(text: str) -> None:
    """Before it is composed: both composers call themselves for each level, and libyaml's then ends the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_FAST_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH + 1:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise YamlError(f"line {line}: nested without end")
