"""The LFS objects that a branch adds go to the forge before the branch does: `git push` without hooks sends none.

With a token this process speaks the batch API itself, so no child holds the token and there is nothing to
proxy. Without one git-lfs is started, which asks the user's own transport; into a folder they are copied. Only
the `basic` transfer is spoken, which every server has.

Source: git-lfs/docs/api/batch.md, docs/api/basic-transfers.md, docs/spec.md (pointers).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urljoin

from orchestrator_action.errors import GitError
from orchestrator_action.git.forge_access import ForgeAccess
from orchestrator_action.git.patience import as_fault
from orchestrator_action.git.repo import Git
from orchestrator_action.git.request_body import CHUNK_BYTES

LONGEST_POINTER = 1024
MAX_LFS_OBJECTS = 1000
"""Of one branch; a batch may be no longer on GitHub either."""
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-.*\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n"
)
_JSON = "application/vnd.git-lfs+json"


class LfsObject(NamedTuple):
    """A file that a pointer stands for."""

    oid: str
    size: int


def objects_added(git: Git, base: str, sha: str) -> tuple[LfsObject, ...]:
    """The LFS objects whose pointers stand in `sha` or on the way to it, and not in `base`.

    None in a repository that keeps no files there, whatever looks like a pointer.
    """
    if git.run("grep", "-q", "filter=lfs", sha, "--", "*.gitattributes", check=False).code:
        return ()
    names = git.text("rev-list", "--objects", "--filter=object:type=blob", sha, f"^{base}")
    blobs = [line[:64].split(" ")[0] for line in names.splitlines()]
    sizes = git.run(
        "cat-file", "--batch-check=%(objecttype) %(objectsize) %(objectname)", stdin=_lines(blobs)
    )
    small = [
        f[2] for line in sizes.text.splitlines()
        if (f := line.split()) and f[0] == "blob" and int(f[1]) <= LONGEST_POINTER
    ]  # fmt: skip
    bodies = git.run("cat-file", "--batch", stdin=_lines(small)).out if small else b""
    found = {LfsObject(m[1].decode(), int(m[2])): None for m in _POINTER.finditer(bodies)}
    return tuple(found)


def _lines(names: Sequence[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def endpoint_of(settings: Mapping[str, str], remote: str, url: str) -> str:
    """Where a remote's LFS objects are: as set, otherwise beside the repository."""
    given = settings.get(f"remote.{remote}.lfspushurl") or settings.get(f"remote.{remote}.lfsurl")
    if found := given or settings.get("lfs.pushurl") or settings.get("lfs.url"):
        return found.rstrip("/")
    bare = url.rstrip("/")
    return f"{bare if bare.endswith('.git') else bare + '.git'}/info/lfs"


@dataclass(frozen=True, kw_only=True)
class LfsUpload:
    """One upload to the forge's own LFS server. Raises GitError with the server's words."""

    access: ForgeAccess
    endpoint: str
    folders: tuple[Path, ...]
    """Where contents are looked for, `lfs/objects` of a repository each."""

    def send(self, objects: Sequence[LfsObject], ref: str) -> None:
        """Have the server hold all these objects; those that it has already cost one line of a request."""
        if not self.access.is_own(self.endpoint):
            raise GitError(
                f"LFS objects go to {self.access.server_of(self.endpoint)}, which is not the forge's server",
                hint="the token is sent to the forge only: git config lfs.url",
            )
        for wanted in self._asked(objects, ref):
            if fault := wanted.get("error"):
                raise GitError(f"LFS object {wanted.get('oid', '')[:12]}: {fault.get('message', fault)}")
            actions = wanted.get("actions") or {}
            if action := actions.get("upload"):
                found = LfsObject(str(wanted["oid"]), int(wanted["size"]))
                self._upload(found, action, bool(wanted.get("authenticated")))
                self._verify(found, actions.get("verify"))

    def _asked(self, objects: Sequence[LfsObject], ref: str) -> list[dict[str, Any]]:
        body = {
            "operation": "upload", "transfers": ["basic"], "ref": {"name": ref}, "hash_algo": "sha256",
            "objects": [o._asdict() for o in objects],
        }  # fmt: skip
        said = self._post(f"{self.endpoint}/objects/batch", body, {}, with_token=True)
        try:
            asked = {o.oid for o in objects}
            return [o for o in json.loads(said)["objects"] if o["oid"] in asked]
        except (ValueError, KeyError, TypeError) as exc:
            raise GitError(f"{self.endpoint} is no LFS server: {exc}", hint="git config lfs.url") from None

    def _upload(self, wanted: LfsObject, action: Mapping[str, Any], authenticated: bool) -> None:
        path = _content(wanted, self.folders)
        given = _headers(action)
        headers = {"Content-Type": "application/octet-stream", **given, "Content-Length": str(wanted.size)}
        with_token = not authenticated and "authorization" not in map(str.lower, given)
        self._ask("PUT", str(action["href"]), headers, _parts(path), with_token=with_token)

    def _verify(self, wanted: LfsObject, action: Mapping[str, Any] | None) -> None:
        if action:
            given = _headers(action)
            with_token = "authorization" not in map(str.lower, given)
            self._post(str(action["href"]), wanted._asdict(), given, with_token=with_token)

    def _post(self, url: str, body: Any, more: Mapping[str, str], *, with_token: bool) -> bytes:
        data = json.dumps(body).encode()
        headers = {"Accept": _JSON, "Content-Type": _JSON, **more, "Content-Length": str(len(data))}
        return self._ask("POST", url, headers, data, with_token=with_token)

    def _ask(self, method: str, url: str, headers: dict[str, str], body: Any, *, with_token: bool) -> bytes:
        url = urljoin(f"{self.endpoint}/", url)
        place = f"LFS server {self.access.server_of(url)}"
        try:
            answer = self.access.ask(method, url, headers, body, with_token=with_token)
            said: bytes = answer.read(8 << 20, decode_content=True)
            answer.close()
        except self.access.faults as exc:
            raise as_fault(f"{place}: {self.access.fault_in_words(url, exc)}", "check the network") from exc
        if answer.status // 100 != 2:
            raise as_fault(
                f"{place}: the server answered {answer.status}{_words(said)}",
                "check the token: it needs contents: write" if answer.status in {401, 403} else "",
                retry_after_s=self.access.retry_after_s(answer.headers),
            )
        return said


def copy_objects(objects: Sequence[LfsObject], folders: Sequence[Path], remote: Path) -> None:
    """Bring objects to a remote that is a folder of this machine, where git-lfs looks for them."""
    inside = remote / ".git" if (remote / ".git").is_dir() else remote
    for wanted in objects:
        target = object_path(inside / "lfs" / "objects", wanted)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f"{target.name}.{os.getpid()}")
            shutil.copyfile(_content(wanted, folders), part)
            part.replace(target)


def object_path(folder: Path, wanted: LfsObject) -> Path:
    """Where an object is in a folder of them, there or not."""
    return folder / wanted.oid[:2] / wanted.oid[2:4] / wanted.oid


def _content(wanted: LfsObject, folders: Sequence[Path]) -> Path:
    """Where the content is. Its digest is its name: what somebody changed is not sent."""
    for path in (object_path(folder, wanted) for folder in folders):
        if path.is_file() and path.stat().st_size == wanted.size and _digest(path) == wanted.oid:
            return path
    raise GitError(
        f"the content of LFS object {wanted.oid[:12]} is not there, only its pointer is committed",
        hint="is git-lfs set up where the commit was made? git lfs install",
    )


def _headers(action: Mapping[str, Any]) -> dict[str, str]:
    return {str(k): str(v) for k, v in (action.get("header") or {}).items()}


def _words(said: bytes) -> str:
    """What the server says of its refusal, when it says it as the API has it."""
    try:
        message = str(json.loads(said)["message"])
    except (ValueError, KeyError, TypeError):
        return ""
    return ": " + " ".join(message.split())[:300]


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(CHUNK_BYTES):
            yield part


def _digest(path: Path) -> str:
    total = hashlib.sha256()
    for part in _parts(path):
        total.update(part)
    return total.hexdigest()
