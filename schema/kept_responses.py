"""Answers kept in this process's memory, within a bound on their bytes; the longest unused go first."""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from server.observability import KEPT_RESPONSE_BYTES

OVERHEAD = 600
"""bytes that Python takes around an answer: its key, its row here and the objects' own; measured, rounded up"""


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """The JSON text of an answer's `data`, what the plan stood at before it was read, and its ETag."""

    state: str
    data: bytes
    etag: str

    @property
    def size(self) -> int:
        return OVERHEAD + len(self.data) + len(self.state)


def kept(state: str, data: bytes) -> KeptResponse:
    """Weak, because `extensions` differ from answer to answer; of the content, so that all processes make the same."""
    digest = base64.urlsafe_b64encode(hashlib.blake2b(data, digest_size=18).digest()).decode()
    return KeptResponse(state, data, f'W/"{digest}"')


class KeptResponses:
    """Which callers share a key is the caller's concern; that an answer still holds is decided here, by its state."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._kept: OrderedDict[bytes, KeptResponse] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: bytes, state: str) -> KeptResponse | None:
        found = self._kept.get(key)
        if found is None or found.state != state:
            return None
        self._kept.move_to_end(key)
        return found

    def keep(self, key: bytes, response: KeptResponse) -> None:
        """In place of what was there; one that is larger than all may be together is not kept."""
        self._drop(key)
        if response.size > self.limit:
            return
        self._kept[key] = response
        self._count(response.size)
        while self.size > self.limit:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: bytes) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self._count(-found.size)

    def _count(self, change: int) -> None:
        self.size += change
        KEPT_RESPONSE_BYTES.inc(change)
