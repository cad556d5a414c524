"""Proof that an initiator gets what is sent to its address, without memory for it.

A listener with many half-open handshakes answers with a cookie instead of a key exchange. The
cookie is a MAC over the address, the initiator's message and the time, so whoever made up its
address never gets it, and the listener keeps nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from troth.streaming.transport_limits import COOKIE_BUCKET_NS

COOKIE_BYTES: Final = 16
NO_COOKIE: Final = bytes(COOKIE_BYTES)
SECRET_BYTES: Final = 32


class CookieJar:
    """Makes and checks cookies; each is good for 30 to 60 seconds."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, address: tuple[str, int], message: bytes, now_ns: int) -> bytes:
        return self._cookie(address, message, now_ns // COOKIE_BUCKET_NS)

    def check(self, cookie: bytes, address: tuple[str, int], message: bytes, now_ns: int) -> bool:
        bucket = now_ns // COOKIE_BUCKET_NS
        good = [self._cookie(address, message, at) for at in (bucket, bucket - 1)]
        matches = [hmac.compare_digest(cookie, one) for one in good]
        return True in matches

    def _cookie(self, address: tuple[str, int], message: bytes, bucket: int) -> bytes:
        host, port = address
        name = host.encode()
        data = b"%d %d %d " % (bucket, port, len(name)) + name + message
        return hashlib.blake2s(data, key=self._secret, digest_size=COOKIE_BYTES).digest()
