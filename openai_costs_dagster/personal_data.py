"""Removes the names and email addresses of one person from JSON pages and free text, and verifies the result.

Only the affected values of a page are replaced. Every number and every other byte stays as OpenAI sent it. In this
module, a row is the innermost list element that contains the user's id, or the whole page if there is no such element.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

REPLACEMENT = "..."
"""The replacement for a removed address or name within a text."""

# The module has its own JSON parser, because json.loads does not return the positions of values in the text.
_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|([{}\[\],:])|([^\s{}\[\],:"]+))', re.DOTALL)
_LITERAL = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|NaN|-?Infinity")
# A JSON text within a JSON string escapes its backslashes again, so several of them may come before the `u`.
_ESCAPE = re.compile(r"\\+u([0-9a-fA-F]{4})")
_ADDRESS = re.compile(r"[^\s\"<>()@\\]+@[^\s\"<>()@\\]+\.[^\s\"<>()@\\]+")
_NAME_KEY = re.compile(r"(?:(?:user|owner|member|full|first|last|display|given|family)_)?name", re.IGNORECASE)
_ADDRESS_KEY = re.compile(r"mail", re.IGNORECASE)
_OWN_ADDRESS_KEY = re.compile(r"(?:user_)?e?-?mail", re.IGNORECASE)
_ID_KEYS = ("id", "user_id")


@dataclass(frozen=True)
class Person:
    """The person to remove: a user id with the email addresses and names of that user.

    Addresses are in lower case.
    """

    user_id: str
    addresses: frozenset[str] = frozenset()
    addresses_of_others: frozenset[str] = frozenset()
    """Addresses of other users, which stay in the texts even if one looks like an alias of a removed address."""
    names: frozenset[str] = frozenset()
    """Full names, which are removed from free text. Callers omit names of one word, which may be ordinary words."""

    def with_addresses(self, addresses: Collection[str]) -> Person:
        """Return a copy of this person to which the given email addresses are added."""
        return replace(self, addresses=self.addresses | {address.lower() for address in addresses})

    @property
    def search_terms(self) -> list[str]:
        """Search terms, at least one of which occurs in every text that mentions the person, ignoring case.

        This also holds for JSON texts with escapes. A text that contains a term may still not mention the person.
        """
        domains = {address.rpartition("@")[2] for address in self.addresses}
        # JSON may escape characters of a name that are not ASCII. The longest ASCII part of the name is never escaped.
        return sorted(domains | {max(re.findall(r"[\w .-]+", name, re.ASCII), key=len) for name in self.names})

    @cached_property
    def _addresses_pattern(self) -> re.Pattern[str] | None:
        """A pattern for the addresses as whole words, in any case, and with any tag as in `user+tag@example.com`.

        An address that has a tag itself matches only with that tag.
        """
        forms = []
        # The longest address comes first, because a regular expression takes the first alternative that matches.
        for address in sorted(self.addresses, key=len, reverse=True):
            local, _, domain = address.rpartition("@")
            tag = "" if "+" in local else r"(?:\+[\w.%+-]*)?"
            forms.append(f"{re.escape(local)}{tag}@{re.escape(domain)}")
        return re.compile(rf"(?<![\w.%+-])(?:{'|'.join(forms)})(?![\w-]|\.\w)", re.IGNORECASE) if forms else None

    def find_addresses(self, text: str) -> list[re.Match[str]]:
        """Return all occurrences of the person's addresses in a text without JSON escapes."""
        found = self._addresses_pattern.finditer(text) if self._addresses_pattern else ()
        return [match for match in found if match[0].lower() not in self.addresses_of_others]

    def find_names(self, text: str) -> list[re.Match[str]]:
        """Return all occurrences of the person's full names in a text without JSON escapes."""
        return [match for name in self.names for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text)]

    def may_be_mentioned(self, text: str) -> bool:
        """Whether a text contains the user id or the domain of an address.

        The search for names and addresses is slow, and this fast check makes it unnecessary for most pages.
        """
        plain = _unescaped(text).lower()
        domains = {address.rpartition("@")[2] for address in self.addresses}
        return self.user_id.lower() in plain or any(f"@{domain}" in plain for domain in domains)


@dataclass
class EditedText:
    """A text after the removal of a person, and the email addresses of the person that the text contained."""

    text: str
    addresses: set[str] = field(default_factory=set)


def forget(text: str, person: Person) -> EditedText:
    """Remove a person's names and email addresses from a JSON page.

    Only the addresses are removed from a text that is not JSON.
    """
    if not person.may_be_mentioned(text):
        return EditedText(text)
    try:
        root = _parse(text)
    except ValueError:
        return EditedText(_without(person.find_addresses(text), text))
    return _PageEditor(person).edit(text, root)


def forget_in_free_text(text: str, person: Person) -> str:
    """Remove a person's email addresses and full names from free text, or from the strings of a JSON text.

    All fields of a JSON text stay, because the program that wrote the JSON may need them.
    """
    try:
        strings = list(_strings(_parse(text)))
    except ValueError:
        text = _without(person.find_addresses(text), text)
        return _without(person.find_names(text), text)
    # Texts are replaced from the end to the beginning, so that earlier positions stay valid.
    for node in sorted(strings, key=lambda string: -string.start):
        edited = forget_in_free_text(node.string or "", person)
        if edited != node.string:
            text = text[: node.start] + json.dumps(edited) + text[node.end :]
    return text


def free_text_mentions(text: str, person: Person) -> bool:
    """Whether free text, or a string in a JSON text, still contains an address or a full name of the person."""
    forms = [text, _unescaped(text)]
    found = any(person.find_addresses(form) or person.find_names(form) for form in forms)
    return found or forget_in_free_text(text, person) != text


def mentions(text: str, person: Person) -> bool:
    """Whether a text still contains an address of the person, or a name in an object that contains the user id.

    The check decodes the JSON with another parser than `forget`, so that a mistake of `forget` is found.
    """
    if not person.may_be_mentioned(text):
        return False
    if forget(text, person).text != text:
        return True
    try:
        # Numbers stay text, because Python refuses to convert integers of more than 4,300 digits.
        value = json.loads(text, parse_float=str, parse_int=str, strict=False)
    except ValueError:
        return bool(person.find_addresses(text) or person.find_addresses(_unescaped(text)))
    return _mentions(value, person)


def _mentions(value: Any, person: Person) -> bool:
    if isinstance(value, str):
        # A string may itself contain JSON, in which a name is recognized by the user id in the same object.
        is_json = value.lstrip()[:1] in {"{", "["}
        return bool(person.find_addresses(value)) or (is_json and mentions(value, person))
    if isinstance(value, dict):
        return _has_name(value, person.user_id) or any(
            _mentions(member, person) for pair in value.items() for member in pair
        )
    return isinstance(value, list) and any(_mentions(element, person) for element in value)


def _has_name(fields: dict[str, Any], user_id: str) -> bool:
    ids = [fields[key] for key in _ID_KEYS if isinstance(fields.get(key), str)]
    # An object of another user may mention the person, for example as the one who sent the invitation.
    is_of_another_user = any(identifier.startswith("user") for identifier in ids) and user_id not in ids
    is_own = not is_of_another_user and any(value == user_id for value in fields.values())
    return is_own and any(value is not None for key, value in fields.items() if _is_personal(key))


def _without(found: Collection[re.Match[str]], text: str) -> str:
    # Values are replaced from the end to the beginning, so that earlier positions stay valid.
    for match in sorted(found, key=lambda match: -match.start()):
        text = text[: match.start()] + REPLACEMENT + text[match.end() :]
    return text


def _strings(node: _Node) -> Iterator[_Node]:
    if node.string is not None:
        yield node
    for member in node.members:
        for child in member:
            if child:
                yield from _strings(child)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text) if "\\" in text else text


def _is_personal(key: str) -> bool:
    return bool(_NAME_KEY.fullmatch(key) or _ADDRESS_KEY.search(key))


@dataclass(eq=False)  # The editor uses nodes as dictionary keys, so they compare by identity.
class _Node:
    """A JSON value with its position in the text and its members."""

    start: int
    end: int
    string: str | None = None
    members: list[tuple[_Node | None, _Node]] = field(default_factory=list)
    """Pairs of key and value for an object, and pairs of None and element for a list."""
    kind: str = ""
    """`{` for an object, `[` for a list."""

    @property
    def fields(self) -> dict[str, _Node]:
        """The members of an object by name."""
        return {key.string or "": value for key, value in self.members if key}


def _parse(text: str) -> _Node:
    """Return the outermost value of a JSON text. Raises ValueError if the text is not JSON."""
    tokens = _tokens(text)
    try:
        root = _value(next(tokens), tokens)
    except StopIteration:
        raise ValueError("the text ends in the middle of a value") from None
    if next(tokens, None) is not None or not root.kind:
        raise ValueError("the text is not a JSON document")
    return root


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    position, end = 0, len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        if not found:
            raise ValueError(f"invalid JSON at character {position}")
        group = found.lastindex or 0
        yield found[group], found.start(group), found.end(group)
        position = found.end()


def _value(token: tuple[str, int, int], tokens: Iterator[tuple[str, int, int]]) -> _Node:
    text, start, end = token
    if text[0] == '"':
        # By default, json.loads refuses unescaped control characters, and the names on such a page would stay.
        return _Node(start, end, string=json.loads(text, strict=False))
    if text not in {"{", "["}:
        if not _LITERAL.fullmatch(text):
            raise ValueError(f"invalid JSON: unexpected {text} at character {start}")
        return _Node(start, end)
    node = _Node(start, end, kind=text)
    closing = {"{": "}", "[": "]"}[text]
    token = next(tokens)
    while token[0] != closing:
        key = _value(token, tokens) if text == "{" else None
        if key:
            if key.string is None or next(tokens)[0] != ":":
                raise ValueError(f"invalid JSON: expected a key and a value at character {key.start}")
            token = next(tokens)
        node.members.append((key, _value(token, tokens)))
        token = next(tokens)
        if token[0] == ",":
            token = next(tokens)
        elif token[0] != closing:
            raise ValueError(f"invalid JSON: unexpected {token[0]} at character {token[1]}")
    node.end = token[2]
    return node


class _PageEditor:
    """The removal of a person from one JSON page: the edits are collected first and applied at the end."""

    def __init__(self, person: Person) -> None:
        self._person = person
        self._edits: dict[_Node, str] = {}
        self._addresses: set[str] = set()

    def edit(self, text: str, root: _Node) -> EditedText:
        """Return the page without the names and addresses of the person, and the addresses that were found."""
        # The user id occurs outside of every list element, so the whole page is the row of the user.
        if self._find_rows(root):
            self._clear(root)
        self._edit_strings(root)
        pieces, position = [], 0
        for node, replacement in sorted(self._edits.items(), key=lambda edit: edit[0].start):
            if node.start >= position:  # A node before `position` is part of a value that is replaced as a whole.
                pieces += [text[position : node.start], replacement]
                position = node.end
        return EditedText("".join([*pieces, text[position:]]), self._addresses)

    def _find_rows(self, node: _Node) -> bool:
        """Clear the rows of the user within a value.

        Return whether the user id also occurs outside of these rows. A value around it is then the row of the user.
        """
        if not node.kind:
            return node.string == self._person.user_id
        belongs = False
        for key, value in node.members:
            names_user = self._find_rows(value)
            is_own_entry = key is not None and key.string == self._person.user_id
            if value.kind and ((names_user and key is None) or is_own_entry):
                self._clear(value)
            else:
                belongs = belongs or names_user
        return belongs

    def _clear(self, node: _Node) -> None:
        """Set names and addresses in a row of the user to null, except in objects of other users."""
        if node.kind == "{" and self._is_of_another_user(node):
            return
        for key, value in node.members:
            name = (key.string or "") if key else ""
            if key and _is_personal(name) and not self._is_name_of_a_thing(node, name):
                self._clear_value(node, name, value)
            elif value.kind:
                self._clear(value)

    def _clear_value(self, node: _Node, name: str, value: _Node) -> None:
        is_own_address = _OWN_ADDRESS_KEY.fullmatch(name) and _ADDRESS.fullmatch(value.string or "")
        if is_own_address and self._names_user(node):
            self._addresses.add((value.string or "").lower())
        self._edits[value] = "null"

    def _names_user(self, node: _Node) -> bool:
        return any(value.string == self._person.user_id for _, value in node.members)

    def _is_of_another_user(self, node: _Node) -> bool:
        ids = [node.fields[key].string or "" for key in _ID_KEYS if key in node.fields]
        return any(identifier.startswith("user") for identifier in ids) and self._person.user_id not in ids

    def _is_name_of_a_thing(self, node: _Node, name: str) -> bool:
        """Whether `name` is the name of an object such as an API key or a project, and not of the user."""
        return name.lower() == "name" and "id" in node.fields and not self._names_user(node)

    def _edit_strings(self, node: _Node) -> None:
        """Remove addresses from all strings that are not replaced yet, also if a string contains JSON itself."""
        if node in self._edits:
            return
        if node.string is not None:
            edited = forget(node.string, self._person)
            self._addresses |= edited.addresses
            if edited.text != node.string:
                self._edits[node] = json.dumps(edited.text)
        for key, value in node.members:
            if key:
                self._edit_strings(key)
            self._edit_strings(value)
