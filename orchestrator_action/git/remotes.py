"""Which remote a run talks to, found once before any agent starts, and how it is reached.

A URL with a password in it becomes one without; the password goes the way of every token. A repository
without a remote can use a bare repository of ours in a folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from orchestrator_action.errors import GitError
from orchestrator_action.git.forge_access import basic_authorization, open_access, server_of, token_now
from orchestrator_action.git.lfs import endpoint_of
from orchestrator_action.git.process import TRANSPORT_VARIABLES, base_env, git_program, last_line, spawn_git
from orchestrator_action.git.remote import LOCAL_ONLY, Remote
from orchestrator_action.git.repo import Git

_CARRIED = re.compile(
    r"^(http\..*|url\..*|core\.sshcommand|core\.gitproxy|credential\..*|ssh\..*|remote\.[^.]*\.proxy)$"
)
"""Local settings that belong to the user's own transport."""
_SCHEMES = {"https", "http", "ssh", "git", "file", "git+ssh", "ssh+git"}


def open_remote(
    git: Git,
    *,
    private_dir: Path,
    token: str = "",
    name: str = "",
    env: Mapping[str, str] | None = None,
    servers: Collection[str] = (),
    strict: bool = False,
) -> Remote | None:
    """The repository's remote, resolved once, before any agent runs. None when there is no remote.

    `name` defaults to `origin`, or the only remote. A token is used with http(s) URLs only, and with those of
    `servers` (`https://host`) where there are any. Be `strict` where an agent of an earlier step may have written
    the settings: another server is then an error, and a proxy or a certificate is taken from the system's only.
    """
    remotes = git.remotes()
    if not name:
        if not remotes:
            return None
        name = "origin" if "origin" in remotes else next(iter(remotes))
        if len(remotes) > 1 and name != "origin":
            raise GitError(
                f"there are several remotes and none is called origin: {', '.join(sorted(remotes))}",
                hint="git remote rename <one of them> origin",
            )
    if name not in remotes:
        raise GitError(f"there is no remote {name!r}", hint="git remote -v")
    url = _absolute(_resolved(git, name, push=False), git)
    push_url = _absolute(_resolved(git, name, push=True), git)
    for place in {_without_userinfo(u)[0] for u in (url, push_url)} if token and servers else ():
        if place.startswith(("https://", "http://")) and server_of(place) not in map(server_of, servers):
            if strict:
                raise GitError(
                    f"remote {name!r} is at {place}, and the token is for {', '.join(sorted(servers))}",
                    hint=f"was it changed by an earlier step? git remote get-url {name}",
                )
            token = ""
    return _make(git, name, url, push_url, private_dir=private_dir, token=token, env=env, strict=strict)


def folder_remote(git: Git, bare: Path, *, private_dir: Path, env: Mapping[str, str] | None = None) -> Remote:
    """A bare repository of ours (`make_bare`) as the remote of a repository that has none."""
    made = _make(git, "orchestrator", str(bare), str(bare), private_dir=private_dir, token="", env=env)
    return replace(made, trusted=False)


def make_bare(path: Path, *, branch: str = "main", object_format: str = "sha1") -> Path:
    """A bare repository at `path`, made when it is missing."""
    if not (path / "HEAD").exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        args = ["init", "--quiet", "--bare", "--template=", f"--object-format={object_format}"]
        done = spawn_git([*args, f"--initial-branch={branch}", str(path)], env=base_env(os.environ))
        if done.code:
            raise GitError(
                f"{path} could not be made: {last_line(done.err)}", hint="check the folder's permissions"
            )
    return path


def seed_bare(git: Git, bare: Path, branch: str, sha: str) -> None:
    """Make `branch` of a bare repository of ours what it is in the repository itself."""
    receive = "--receive-pack=git -c core.hooksPath=/dev/null receive-pack"
    git.run(
        "-c", "protocol.file.allow=always", "push", "--quiet", "--no-verify", receive, str(bare),
        f"+{sha}:refs/heads/{branch}", env=LOCAL_ONLY, write=True,
    )  # fmt: skip


def persisted_credentials(git: Git) -> tuple[str, ...]:
    """Credentials in the repository's own configuration that an agent could read: key and file, no values.

    actions/checkout leaves its token there unless told `persist-credentials: false`.
    """
    args = ("--list", "--includes", "--show-scope", "--show-origin", "-z")
    parts = [os.fsdecode(p) for p in git.run_config(*args).out.split(b"\0")]
    found = []
    for scope, origin, entry in zip(parts[0::3], parts[1::3], parts[2::3], strict=False):
        key, _, value = entry.partition("\n")
        if scope in {"local", "worktree"} and _is_credential(key, value):
            safe = re.sub(r"://[^/@]*@", "://***@", key)
            found.append(f"{safe} in {origin.removeprefix('file:')}")
    return tuple(dict.fromkeys(found))


def _is_credential(key: str, value: str) -> bool:
    if re.fullmatch(r"http\.(.*\.)?extraheader", key):
        return bool(re.search(r"authorization|token", value, re.IGNORECASE))
    if re.fullmatch(r"credential\.(.*\.)?helper", key):
        return value.startswith(("store", "!"))
    if key == "core.sshcommand":
        return "-i" in value.split()
    holder = key if key.startswith("url.") else value if key.endswith(("url", ".proxy")) else ""
    return bool(re.search(r"://[^/@\s]*:[^/@\s]+@", holder)) or bool(
        re.search(r"https?://[^/@:\s]{20,}@", holder)
    )


def _resolved(git: Git, name: str, *, push: bool) -> str:
    """The URL git would use, `url.*.insteadOf` applied."""
    env = {**git.env, "GIT_DIR": str(git.git_dir), "GIT_COMMON_DIR": str(git.common_dir)}
    done = spawn_git(["remote", "get-url", *(["--push"] if push else []), name], env=env, cwd=git.common_dir)
    if done.code:
        raise GitError(f"remote {name!r} has no URL: {last_line(done.err)}", hint="git remote -v")
    return done.text.splitlines()[0]


def _absolute(url: str, git: Git) -> str:
    """A path made absolute from the checkout's top; URLs and host:path forms as they are."""
    is_path = "://" not in url and (":" not in url.split("/")[0] or url.startswith(("/", ".")))
    if not is_path:
        return url
    return str(((git.work_tree or git.common_dir) / url).resolve())


def _make(
    git: Git,
    name: str,
    url: str,
    push_url: str,
    *,
    private_dir: Path,
    token: str,
    env: Mapping[str, str] | None,
    strict: bool = False,
) -> Remote:
    url, user, password = _without_userinfo(url)
    push_url, push_user, push_password = _without_userinfo(push_url)
    user, password = (push_user, push_password) if push_password or push_user else (user, password)
    is_http = url.startswith(("https://", "http://"))
    if is_http and token and not push_url.startswith(("https://", "http://")):
        push_url = url  # a key for ssh is the user's; the token is what we were given
    if not is_http:
        token = ""
    elif not token and (password or user):
        token, user = (password, user) if password else (user, "x-access-token")
    else:
        user = "x-access-token"
    store = _make_store(git, private_dir, with_token=bool(token))
    caller = os.environ if env is None else env
    full = {**base_env(caller, TRANSPORT_VARIABLES), "GIT_DIR": str(store)}
    if not token:
        pairs = {**_protocols({_scheme(url), _scheme(push_url)}), **_carried(git)}
        full |= _as_environment(pairs)
        return Remote(name=name, url=url, push_url=push_url, store=store, source=git, env=full)
    header = basic_authorization(user, token)
    access = {
        place: open_access(
            git,
            place,
            authorization=lambda: basic_authorization(user, token_now(token)),
            env=caller,
            strict=strict,
            remote=name,
        )
        for place in {url, push_url}
    }
    return Remote(
        name=name, url=url, push_url=push_url, store=store, source=git, env=_proxied(full, store),
        secrets=(token, header.partition(" ")[2]), access=access,
        lfs_url=endpoint_of({} if strict else git.config(), name, push_url),
    )  # fmt: skip


def _proxied(env: Mapping[str, str], store: Path) -> dict[str, str]:
    """The environment of a git that reaches nothing but our own proxy on this machine."""
    outside = {*TRANSPORT_VARIABLES, "XDG_CONFIG_HOME", "GIT_CONFIG_SYSTEM"}
    return {
        **{k: v for k, v in env.items() if k not in outside},
        "HOME": str(store),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "PATH": os.pathsep.join([str(Path(git_program()).parent), "/usr/bin", "/bin"]),
        **_as_environment(
            {**_protocols({"http"}), "credential.helper": [""], "http.followRedirects": ["false"]}
        ),
    }


def _make_store(git: Git, private_dir: Path, *, with_token: bool) -> Path:
    """The private bare repository, made once per run; its own configuration is git's and nothing else."""
    store = private_dir / ("transport-token.git" if with_token else "transport.git")
    private_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (store / "HEAD").exists():
        store.mkdir(mode=0o700, exist_ok=True)
        make_bare(store, object_format=git.object_format)
        (store / "objects" / "info").mkdir(exist_ok=True)
    store.chmod(0o700)
    alternates = store / "objects" / "info" / "alternates"
    alternates.write_bytes(os.fsencode(git.common_dir / "objects") + b"\n")
    return store


def _carried(git: Git) -> dict[str, list[str]]:
    """Settings of the repository that the user's own transport needs."""
    args = ("--list", "--includes", "--show-scope", "-z")
    parts = [os.fsdecode(p) for p in git.run_config(*args).out.split(b"\0")]
    found: dict[str, list[str]] = {}
    for scope, entry in zip(parts[0::2], parts[1::2], strict=False):
        key, _, value = entry.partition("\n")
        if _CARRIED.match(key) and scope in {"local", "worktree"}:
            found.setdefault(key, []).append(value)
    return found


def _protocols(schemes: Iterable[str]) -> dict[str, list[str]]:
    return {"protocol.allow": ["never"], **{f"protocol.{s}.allow": ["always"] for s in schemes}}


def _as_environment(pairs: Mapping[str, list[str]]) -> dict[str, str]:
    """Settings as GIT_CONFIG_COUNT and its like, which no other user of this machine can read."""
    flat = [(key, value) for key, values in pairs.items() for value in values]
    env = {"GIT_CONFIG_COUNT": str(len(flat))}
    for n, (key, value) in enumerate(flat):
        env |= {f"GIT_CONFIG_KEY_{n}": key, f"GIT_CONFIG_VALUE_{n}": value}
    return env


def _scheme(url: str) -> str:
    scheme = url.partition("://")[0] if "://" in url else ("file" if url.startswith("/") else "ssh")
    if scheme not in _SCHEMES:
        raise GitError(f"remote URL scheme {scheme!r} is not supported", hint="use https, ssh or a folder")
    return "ssh" if "ssh" in scheme else scheme


def _without_userinfo(url: str) -> tuple[str, str, str]:
    """An http URL without its user and password, and the two."""
    if not url.startswith(("https://", "http://")) or "@" not in urlsplit(url).netloc:
        return url, "", ""
    parts = urlsplit(url)
    userinfo, _, host = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    return urlunsplit(parts._replace(netloc=host)), unquote(user), unquote(password)
