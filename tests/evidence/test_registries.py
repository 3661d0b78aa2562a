"""`doctor` tries the registries that set-up needs: on servers of this machine that answer, refuse, or say nothing."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator_action.verify import registries
from orchestrator_action.verify.ecosystems.base import Files, SetupStep
from orchestrator_action.verify.registries import out_of_reach, submodules_out_of_reach
from orchestrator_action.verify.setup import plan_setup
from tests.kit.repos import clean_env

PROJECT = {"pyproject.toml": "[project]\nname='a'\n"}


@contextlib.contextmanager
def closed_port() -> Iterator[str]:
    """An address that refuses: the port is bound, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextlib.contextmanager
def answering(status: int, asked: list[str]) -> Iterator[str]:
    """The address of a server that answers everything with this status, and writes down how it was asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(f"HEAD {self.path}")
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def python_step() -> SetupStep:
    [step] = plan_setup(Files(frozenset(PROJECT), PROJECT)).steps
    return step


@pytest.mark.parametrize("status", [200, 401, 404, 405, 500])
def test_whatever_it_answers_it_is_within_reach(status: int, tmp_path: Path):
    """A key may be wanted, or HEAD refused: pip knows better than we do."""
    asked: list[str] = []
    with answering(status, asked) as url:
        found = list(out_of_reach([python_step()], tmp_path, clean_env(PIP_INDEX_URL=f"{url}/simple/")))

    assert ([], ["HEAD /simple/"]) == (found, asked)


def test_one_that_refuses_is_named_without_its_key(tmp_path: Path):
    with closed_port() as url:
        with_key = url.replace("http://", "http://me:secret@")
        [gone] = out_of_reach([python_step()], tmp_path, clean_env(PIP_INDEX_URL=f"{with_key}/simple/"))

    assert (gone.name, gone.url, gone.why) == ("PyPI", f"{url}/simple/", "Connection refused")
    assert gone.sure and "PIP_INDEX_URL" in gone.hint


def test_one_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It accepts and is silent; nobody waits for it longer than the limit."""
    monkeypatch.setattr(registries, "LIMIT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        [gone] = out_of_reach([python_step()], tmp_path, clean_env(PIP_INDEX_URL=url))

    assert gone.why == "no answer within 0.3 s"


@pytest.mark.parametrize(
    ("files", "registry"),
    [
        (
            {
                "package.json": '{"dependencies": {"a": "file:a", "b": "workspace:*"}}',
                "package-lock.json": "",
            },
            "",
        ),
        ({"package.json": '{"devDependencies": {"a": "^1"}}'}, "npm"),
        ({"package.json": '{"workspaces": ["a"]}', "a/package.json": '{"dependencies": {"b": "1"}}'}, "npm"),
        ({"go.mod": "", "go.sum": "x v1 h1:a"}, "Go modules"),
        ({"Cargo.toml": "[package]\nname='a'\n"}, ""),
        ({"Cargo.toml": "[dependencies]\na = {path='a'}\n"}, ""),
        ({"Cargo.toml": "[dev-dependencies]\na = '1'\n"}, "crates.io"),
        ({"Cargo.toml": "[dependencies]\na = '1'\n", ".cargo/config.toml": ""}, ""),
        (
            {"Cargo.toml": "", "Cargo.lock": 'name = "a"\nversion = "1"\nsource = "registry+https://x"\n'},
            "crates.io",
        ),
        ({"Cargo.toml": "", "Cargo.lock": 'name = "a"\nversion = "1"\n'}, ""),
        ({"Gemfile": ""}, "RubyGems"),
        ({"Gemfile": "", "vendor/cache/a.gem": ""}, ""),
        ({"composer.json": '{"require": {"php": ">=8", "ext-json": "*"}}'}, ""),
        ({"composer.json": '{"require-dev": {"phpunit/phpunit": "^9"}}'}, "Packagist"),
        ({"composer.json": '{"require": {"a/b": "*"}, "repositories": [{"type": "path", "url": "b"}]}'}, ""),
        ({"pom.xml": ""}, "Maven Central"),
    ],
)
def test_a_registry_is_needed_only_for_packages_of_others(files: dict[str, str], registry: str):
    [step] = plan_setup(Files(frozenset(files), files)).steps

    assert registry == step.registry
    assert not registry or registry in registries.REGISTRIES


def test_what_the_machine_has_kept_needs_no_registry(tmp_path: Path):
    """Go's modules and cargo's crates, by the names that their own tools give them."""
    (tmp_path / "go.sum").write_text(
        "github.com/BurntSushi/toml v1.0.0 h1:x=\ngithub.com/BurntSushi/toml v1.0.0/go.mod h1:y=\n"
    )
    (tmp_path / "Cargo.lock").write_text('name = "a-b"\nversion = "1.2.3"\nsource = "registry+https://x"\n')
    go = SetupStep(how="Go", commands=(), inputs=("go.sum",), registry="Go modules")
    rust = SetupStep(how="Rust", commands=(), inputs=("Cargo.lock",), registry="crates.io")
    module = tmp_path / "mod/cache/download/github.com/!burnt!sushi/toml/@v/v1.0.0.zip"
    crate = tmp_path / "cargo/registry/cache/index.crates.io-1/a-b-1.2.3.crate"
    with closed_port() as url:
        env = clean_env(GOPROXY=url, GOMODCACHE=str(tmp_path / "mod"), CARGO_HOME=str(tmp_path / "cargo"))
        assert ["Go modules"] == [g.name for g in out_of_reach([go], tmp_path, env)]
        for file in (module, crate):
            file.parent.mkdir(parents=True)
            file.touch()

        assert [] == list(out_of_reach([go, rust], tmp_path, env))


def test_go_without_a_proxy_asks_none(tmp_path: Path):
    step = SetupStep(how="Go", commands=(), registry="Go modules")

    assert [] == list(out_of_reach([step], tmp_path, clean_env(GOPROXY="off")))


def test_a_submodule_is_asked_for_only_where_the_user_has_no_copy(tmp_path: Path):
    """`.gitmodules` names two, one of which lies below `.git/modules`; an address of ssh is git's own affair."""
    (tmp_path / ".git/modules/here").mkdir(parents=True)
    with closed_port() as url:
        rows = [
            ("here", f"{url}/here"),
            ("sub/gone", f"{url}/gone.git"),
            ("ssh", "git@example.invalid:x/y.git"),
        ]
        text = "".join(f'[submodule "{name}"]\n\tpath = {name}\n\turl = {where}\n' for name, where in rows)
        (tmp_path / ".gitmodules").write_text(text)

        [gone] = submodules_out_of_reach(tmp_path, tmp_path / ".git/modules")

    assert (gone.name, gone.url, gone.why) == (
        "the submodule sub/gone",
        f"{url}/gone.git",
        "Connection refused",
    )
