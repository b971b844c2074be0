"""Queries without the values that are written into their text. Parameters never leave anyway."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

# Lexical structure of PostgreSQL (https://www.postgresql.org/docs/current/sql-syntax-lexical.html), which holds what
# SQLite and MySQL have. Every alternative that opens something ends at the text's end if nothing closes it.
TOKEN = re.compile(
    r"""
      (?P<name>"\w[\w .-]*"|`[^`]*`|[^\W\d]\w*(?!')|[$:]\w+(?![\w$])|%\(\w+\)s)  # names and placeholders stay
    | [eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)
    # Whether a backslash hides the quote depends on the server. If in doubt, all that follows goes.
    | \w?'(?:[^'\\]|''|\\[^'])*(?:'|\\'.*|\\?\Z)
    | "[^"]*(?:"|\Z)
    | \$(?P<tag>\w{0,63})\$.*?(?:\$(?P=tag)\$|\Z)
    | (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
    | 0[xX][\da-fA-F_]+ | \d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?
    """,
    re.VERBOSE | re.DOTALL,
)


def without_values(query: str) -> str:
    """Return `query` with `%s` for each string and number in it, and without comments."""
    return TOKEN.sub(_shown, query)


def _shown(token: re.Match[str]) -> str:
    if token["name"]:
        return token[0]
    return "" if token["comment"] else "%s"


def hide_query_values(event: dict[str, Any]) -> None:
    """Take the values out of the queries in the spans and breadcrumbs of a serialized `event`, in place."""
    breadcrumbs = event.get("breadcrumbs")
    steps = breadcrumbs.get("values") if isinstance(breadcrumbs, dict) else breadcrumbs
    # The same queries come again and again.
    shown = cache(without_values)
    for nodes, kind, of_queries, text in (
        (event.get("spans"), "op", "db", "description"),
        (steps, "category", "query", "message"),
    ):
        for node in nodes or ():
            if isinstance(node, dict) and node.get(kind) == of_queries and isinstance(node.get(text), str):
                node[text] = shown(node[text])
