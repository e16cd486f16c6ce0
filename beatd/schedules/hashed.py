"""The one hash by which values are chosen: `H`, `a~b` and jitter. It is the same everywhere, for ever."""

from __future__ import annotations

from hashlib import blake2b


def hashed(*parts: str) -> int:
    """64 bits of the parts: BLAKE2b with a digest of 8 bytes, big-endian, over the parts in UTF-8 with a NUL
    between them. Any text will do, lone surrogates too."""
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
