"""Addresses that the daemon itself sends to: what they must be, and what of them may be shown."""

from __future__ import annotations

from urllib.parse import urlsplit

#: Characters of one.
LONGEST = 2000


def check(url: str) -> str:
    """The URL as it is. Raises ValueError with what is wrong: http or https, a host, one line of ASCII."""
    if len(url) > LONGEST:
        raise ValueError(f"a URL of {LONGEST} characters at the most")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("a URL in ASCII without white space, which is written as %20")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (raises for one that is no number)
    except ValueError:
        parts = None
    if parts is None or parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ValueError("a URL that begins with http:// or https:// and a host")
    return url


def shown(url: str) -> str:
    """Scheme, host and port alone: with most services the path is the secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"
