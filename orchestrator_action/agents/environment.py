"""The environment of untrusted processes: built from nothing by allow-lists, never by taking away.

Agents see what they need to reach their model; a repository's own commands (tests, setup, gates) not
even that. Neither sees anything that looks like a forge token, by name or by the shape of its value,
even when a configuration asks for it by name: whoever holds that token can push and approve.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from orchestrator_action.text.token_shapes import holds_forge_token, holds_token

_ORDINARY = re.compile(
    r"""
    PATH | HOME | USER | LOGNAME | SHELL | LANG | LANGUAGE | TERM | COLORTERM | TZ | TMPDIR | TEMP | TMP
    | CI | NO_COLOR | COLUMNS | LINES | HTTP_PROXY | HTTPS_PROXY | NO_PROXY | ALL_PROXY | http_proxy
    | https_proxy | no_proxy | all_proxy | SSL_CERT_FILE | SSL_CERT_DIR | CURL_CA_BUNDLE
    | REQUESTS_CA_BUNDLE | NODE_EXTRA_CA_CERTS | XDG_CACHE_HOME | XDG_CONFIG_HOME | XDG_DATA_HOME
    | XDG_STATE_HOME | XDG_RUNTIME_DIR | IS_SANDBOX | SYSTEMROOT | COMSPEC | PATHEXT
    """,
    re.VERBOSE,
)
_TOOLCHAINS = re.compile(
    r"""
    VIRTUAL_ENV | CONDA_PREFIX | PYENV_ROOT | PYENV_VERSION | pythonLocation | Python\d?_ROOT_DIR
    | UV_CACHE_DIR | PIP_CACHE_DIR | NODE_PATH | NODE_ENV | NVM_DIR | NPM_CONFIG_CACHE
    | npm_config_cache | PNPM_HOME | VOLTA_HOME | BUN_INSTALL | DENO_DIR | JAVA_HOME(_\w+)?
    | GRADLE_USER_HOME | M2_HOME | MAVEN_HOME | SDKMAN_DIR | ANDROID_HOME | ANDROID_SDK_ROOT
    | GOROOT(_\w+)? | GOPATH | GOCACHE | GOMODCACHE | GOFLAGS | GOTOOLCHAIN | CARGO_HOME | RUSTUP_HOME
    | RUSTUP_TOOLCHAIN | GEM_HOME | GEM_PATH | BUNDLE_PATH | RBENV_ROOT | DOTNET_ROOT | DOTNET_CLI_HOME
    | COMPOSER_HOME | MIX_HOME | HEX_HOME | GHCUP_INSTALL_BASE_PREFIX | STACK_ROOT | SWIFTENV_ROOT
    | NIX_PATH | NIX_PROFILES | LD_LIBRARY_PATH | DYLD_LIBRARY_PATH | PKG_CONFIG_PATH
    | CMAKE_PREFIX_PATH | CC | CXX | PLAYWRIGHT_BROWSERS_PATH | CHROME_BIN | RUNNER_OS | RUNNER_ARCH
    | RUNNER_TOOL_CACHE | AGENT_TOOLSDIRECTORY | DEBIAN_FRONTEND | PYTHONUNBUFFERED
    | PYTHONDONTWRITEBYTECODE | LC_[A-Z]+
    """,
    re.VERBOSE,
)
"""Where setup steps of a job and version switchers leave word of the tools they put there."""

_BROKER = frozenset({"ORCHESTRATOR_SOCKET", "ORCHESTRATOR_CAPABILITY", "ORCHESTRATOR_CONTEXT"})
_IDENTITY = frozenset({"GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"})
_FORGE_NAME = re.compile(
    r"""
    ACTIONS_\w+ | INPUT_.* | GITHUB_(ENV|PATH|OUTPUT|STATE|STEP_SUMMARY) | SSH_(AUTH_SOCK|AGENT_PID|ASKPASS)
    | SYSTEM_ACCESSTOKEN | CI_JOB_(TOKEN|JWT)\w* | CI_(REGISTRY_|DEPLOY_)?PASSWORD | CI_REPOSITORY_URL
    | \w*(GITHUB|GITLAB|GITEA|FORGEJO|CODEBERG|BITBUCKET|AZURE_DEVOPS)
      \w*(TOKEN|_PAT|PASSW|SECRET|_KEY|AUTH|CREDENTIAL)\w*
    | (GH|GHE|GL|GIT)_\w*(TOKEN|PAT|PASSW\w*|KEY|AUTH) | (PERSONAL|WORKFLOW|REPO|BOT|DEPLOY)_(ACCESS_)?TOKEN
    | HOMEBREW_GITHUB_\w+ | RUNNER_(TEMP|TRACKING_ID) | ORCHESTRATOR_(GITHUB_)?TOKEN
    """,
    re.VERBOSE | re.IGNORECASE,
)
_FORGE_HEADER = re.compile(
    r"x-access-token: | oauth2:[^@\s]+@ | authorization:\s*(basic|bearer|token)\s", re.VERBOSE | re.IGNORECASE
)
"""How a forge's token stands in an address or a header, whatever it looks like."""


def looks_like_forge_token(name: str, value: str) -> bool:
    """Whether a variable could let its reader act on a forge, or speak to the runner itself."""
    return bool(_FORGE_NAME.fullmatch(name) or _FORGE_HEADER.search(value) or holds_forge_token(value))


def agent_environment(env: Mapping[str, str], *, extra: Iterable[str] = ()) -> dict[str, str]:
    """What an agent may see of `env`: tools, the broker's variables, an identity, and what `extra` names.

    `extra` names the keys and addresses of the agent's own model, and what `agent-env` of the configuration asks
    for. Everything of git's own (`GIT_*`) is dropped but author and committer, so that no outer repository leaks
    into a worktree.
    """
    return _chosen(env, _BROKER | set(extra))


def command_environment(env: Mapping[str, str], extra: Iterable[str] = ()) -> dict[str, str]:
    """What a repository's own command may see of `env`: tools and locale, no keys of any kind.

    `extra` names further variables a gate or a configuration asks for.
    """
    return _chosen(env, frozenset(extra))


def _chosen(env: Mapping[str, str], named: Collection[str]) -> dict[str, str]:
    """The variables that may pass. Those `named` may hold a key, which is what they are for; all others may not."""

    def allowed(name: str, value: str) -> bool:
        if name.startswith("GIT_") and name not in _IDENTITY:
            return False
        if looks_like_forge_token(name, value):
            return False
        ordinary = _ORDINARY.fullmatch(name) or _TOOLCHAINS.fullmatch(name) or name in _IDENTITY
        return name in named or (bool(ordinary) and not holds_token(value))

    return {n: v for n, v in env.items() if allowed(n, v)}
