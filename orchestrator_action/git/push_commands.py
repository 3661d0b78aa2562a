"""What of git's own HTTP protocol belongs to one operation: reading one repository, or one push to it.

Source: git's gitprotocol-http(5), gitprotocol-pack(5) ("Reference Update Request and Packfile Transfer").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain

from orchestrator_action.git.request_body import CHUNK_BYTES, BodyError, RequestBody, Unpacked
from orchestrator_action.git.token_proxy import Forward, RefusedError, Request

MAX_COMMAND_BYTES = 1 << 20
"""Of all commands of a push; one takes less than 400 bytes."""

_UPLOAD, _RECEIVE = "git-upload-pack", "git-receive-pack"


class ReadOperation:
    """Listing refs and fetching, of the repository at `url` only."""

    service = _UPLOAD

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def admit(self, request: Request) -> Forward:
        """The two requests of the service. Raises RefusedError for any other."""
        listing = f"/info/refs?service={self.service}"
        if (request.method, request.target) == ("GET", listing):
            return Forward(url=self.url + listing, follow=True, moved=self._moved)
        if (request.method, request.target) == ("POST", f"/{self.service}"):
            return self._posted(request)
        raise RefusedError(f"{request.method} {request.target} is not part of this operation")

    def _posted(self, request: Request) -> Forward:
        return Forward(url=f"{self.url}/{self.service}", body=request.body.parts())

    def _moved(self, url: str) -> None:
        """A renamed repository: all that follows goes where the first redirect led."""
        self.url = url.partition("/info/refs?")[0]


class PushOperation(ReadOperation):
    """One push: `moves` names each ref with the commit it has and the one it gets ("" for none)."""

    service = _RECEIVE

    def __init__(self, url: str, moves: Mapping[str, tuple[str, str]]) -> None:
        super().__init__(url)
        self.moves = moves

    def _posted(self, request: Request) -> Forward:
        packed = request.headers.get("Content-Encoding", "") in {"gzip", "x-gzip"}
        body = Unpacked(request.body) if packed else request.body
        reader = _Reader(body)
        count = 0
        for line in reader.lines():
            if line.startswith(b"shallow "):
                continue
            self._check(line, first=count == 0)
            count += 1
        rest = reader.rest()
        if not count and any(rest):  # git asks with an empty list first whether it may push
            raise RefusedError("a push without a ref")
        drop = ("Content-Encoding", "Content-Length") if packed else ()
        return Forward(url=f"{self.url}/{self.service}", body=chain(reader.taken, rest), drop=drop)

    def _check(self, line: bytes, *, first: bool) -> None:
        command, _, capabilities = line.partition(b"\0")
        if capabilities and not first:
            raise RefusedError("a push that cannot be read")
        if b"push-options" in capabilities.split():
            raise RefusedError("push options are not part of this push")
        old, _, rest = command.rstrip(b"\n").decode("utf-8", "surrogateescape").partition(" ")
        new, _, ref = rest.partition(" ")
        if ref not in self.moves or (_some(old), new) != self.moves[ref]:
            raise RefusedError(f"{ref or 'this'} from {old[:12]} to {new[:12]} is not part of this push")


def _some(oid: str) -> str:
    """An object's name; "" for the zeros that mean none."""
    return oid if oid.strip("0") else ""


class _Reader:
    """pkt-lines from the beginning of a body; what was read for them stands in `taken`."""

    def __init__(self, body: RequestBody | Unpacked) -> None:
        self._body, self._ahead, self._size = body, b"", 0
        self.taken: list[bytes] = []

    def _exactly(self, size: int) -> bytes:
        while len(self._ahead) < size:
            part = self._body.read(CHUNK_BYTES)
            if not part:
                raise BodyError("the push ended in the middle")
            self._ahead += part
        found, self._ahead = self._ahead[:size], self._ahead[size:]
        self.taken.append(found)
        self._size += size
        if self._size > MAX_COMMAND_BYTES:
            raise RefusedError("a push of too many refs")
        return found

    def lines(self) -> Iterator[bytes]:
        """The lines up to the first flush."""
        while (length := _length(self._exactly(4))) != 0:
            if length < 4:
                raise RefusedError("a push that cannot be read")
            yield self._exactly(length - 4)

    def rest(self) -> Iterator[bytes]:
        """What follows the lines: the pack."""
        if self._ahead:
            yield self._ahead
        yield from self._body.parts()


def _length(digits: bytes) -> int:
    if not re.fullmatch(rb"[0-9a-fA-F]{4}", digits):
        raise RefusedError("a push that cannot be read")
    return int(digits, 16)
