"""Hides passwords in whatever is shown or logged."""

from __future__ import annotations

import re

# Every quantifier is bounded or runs once over the text: logs pass whole outputs through here.
_SCHEME = r"[\w+.\-]{1,60}://"
_BETWEEN_URLS = re.compile(rf"([;,][\"']?)(?={_SCHEME})")
_PARAMETER = re.compile(
    r"(?<![\w.\-])"
    r"([\w.\-]{0,40}(?:passw|pwd|secret|token|credential|access_?key|api_?key)[\w.\-]{0,40}\s?=\s?)"
    rf"(?:[^\s&;]|;(?!{_SCHEME}))+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """`text` with `***` for each password in the URLs that it holds, and for `password=…` and the like.

    Where a URL is ambiguous (an unescaped `@` or `/` in a password) it hides too much, not too little.
    """
    if "://" in text and "@" in text:
        text = re.sub(r"\S*://\S*", lambda word: _redact_word(word[0]), text)
    return _PARAMETER.sub(r"\1***", text) if "=" in text else text


def _redact_word(word: str) -> str:
    return "".join(_redact_url(part) for part in _BETWEEN_URLS.split(word))


def _redact_url(url: str) -> str:
    """Hide all from the colon after the user's name to the last `@`."""
    at = url.rfind("@")
    start = url.find("://")
    while 0 <= start < at:
        colon = url.find(":", start + 3, at)
        user = url[start + 3 : colon]
        if colon >= 0 and not set(user) & {'"', "'"}:
            return f"{url[: colon + 1]}***{url[at:]}"
        start = url.find("://", start + 3)
    return url
