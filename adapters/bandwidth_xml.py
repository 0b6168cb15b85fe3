"""The XML of Bandwidth's Dashboard API: read with care, and written."""

from collections.abc import Mapping
from typing import NoReturn
from xml.etree.ElementTree import Element, ParseError, SubElement, TreeBuilder, XMLParser, tostring

from adapters.errors import Unknown
from adapters.http import Answer

# What an element holds: a text, or elements by name.
Content = str | Mapping[str, "Content"]


class _NoDoctype(TreeBuilder):
    """Without a document type there are no entities: none that grow, none that read a file."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        """Called where one begins, before anything in it."""
        raise ValueError("a document type")


def read(answer: Answer) -> Element:
    """The root of an answer. Raises Unknown unless it is XML in UTF-8 without a document type."""
    try:
        parser = XMLParser(target=_NoDoctype())
        # As text, so that no encoding of the document's own choice is read.
        parser.feed(answer.body.decode("utf-8"))
        return parser.close()
    except (ParseError, ValueError, RecursionError) as error:
        raise Unknown(f"HTTP {answer.status} with a body that is not the XML that was to come") from error


def text(element: Element | None, path: str) -> str:
    """The text at a path, "" where there is none."""
    found = element.findtext(path) if element is not None else None
    return (found or "").strip()


def write(name: str, content: Content) -> str:
    """An element and what it holds, as a document. Texts that are empty are left out."""
    root = Element(name)
    _fill(root, content)
    return tostring(root, encoding="unicode")


def _fill(element: Element, content: Content) -> None:
    if isinstance(content, str):
        element.text = content
        return
    for name, inner in content.items():
        if inner:
            _fill(SubElement(element, name), inner)
