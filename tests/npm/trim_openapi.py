"""Cut GitHub's published OpenAPI description down to the operations we use.

    python -m tests.npm.trim_openapi        writes tests/npm/github_openapi.json

The source is npm's @octokit/openapi (13 MB); what remains is committed, so that the tests need no
npm to validate requests and answers. A test trims again and compares whenever npm's file is there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCE = HERE / "node_modules" / "@octokit" / "openapi" / "generated" / "api.github.com.json"
TRIMMED = HERE / "github_openapi.json"

R = "/repos/{owner}/{repo}"
OPERATIONS: dict[str, tuple[str, ...]] = {
    "/app/installations/{installation_id}/access_tokens": ("post",),
    "/rate_limit": ("get",),
    "/user": ("get",),
    "/users/{username}": ("get",),
    R: ("get",),
    f"{R}/actions/organization-secrets": ("get",),
    f"{R}/actions/permissions/workflow": ("get", "put"),
    f"{R}/actions/runs/{{run_id}}": ("get",),
    f"{R}/actions/secrets/{{secret_name}}": ("get",),
    f"{R}/actions/workflows/{{workflow_id}}/dispatches": ("post",),
    f"{R}/actions/workflows/{{workflow_id}}/runs": ("get",),
    f"{R}/activity": ("get",),
    f"{R}/check-runs": ("post",),
    f"{R}/check-runs/{{check_run_id}}": ("get", "patch"),
    f"{R}/check-runs/{{check_run_id}}/annotations": ("get",),
    f"{R}/collaborators/{{username}}/permission": ("get",),
    f"{R}/commits/{{ref}}/check-runs": ("get",),
    f"{R}/commits/{{ref}}/status": ("get",),
    f"{R}/commits/{{ref}}/statuses": ("get",),
    f"{R}/git/ref/{{ref}}": ("get",),
    f"{R}/git/refs": ("post",),
    f"{R}/installation": ("get",),
    f"{R}/issues": ("get", "post"),
    f"{R}/issues/comments/{{comment_id}}": ("get", "patch", "delete"),
    f"{R}/issues/events": ("get",),
    f"{R}/issues/{{issue_number}}": ("get", "patch"),
    f"{R}/issues/{{issue_number}}/comments": ("get", "post"),
    f"{R}/issues/{{issue_number}}/dependencies/blocked_by": ("get",),
    f"{R}/issues/{{issue_number}}/events": ("get",),
    f"{R}/issues/{{issue_number}}/labels": ("get", "post", "put"),
    f"{R}/issues/{{issue_number}}/labels/{{name}}": ("delete",),
    f"{R}/issues/{{issue_number}}/timeline": ("get",),
    f"{R}/labels": ("get", "post"),
    f"{R}/labels/{{name}}": ("get", "patch"),
    f"{R}/pulls": ("get", "post"),
    f"{R}/pulls/{{pull_number}}": ("get", "patch"),
    f"{R}/pulls/{{pull_number}}/comments": ("get",),
    f"{R}/pulls/{{pull_number}}/comments/{{comment_id}}/replies": ("post",),
    f"{R}/pulls/{{pull_number}}/files": ("get",),
    f"{R}/pulls/{{pull_number}}/reviews": ("get", "post"),
    f"{R}/rules/branches/{{branch}}": ("get",),
    f"{R}/rulesets/{{ruleset_id}}": ("get",),
    f"{R}/statuses/{{sha}}": ("post",),
}
_PROSE = frozenset({"description", "summary", "example", "examples", "externalDocs", "tags", "title"})
_NAMES_OF_THINGS = frozenset(
    {"properties", "schemas", "headers", "responses", "parameters", "patternProperties"}
)


def trim(whole: dict[str, Any]) -> dict[str, Any]:
    """The description with our operations, what they refer to, and no prose."""
    paths = {
        path: {
            **(
                {"parameters": whole["paths"][path]["parameters"]}
                if "parameters" in whole["paths"][path]
                else {}
            ),
            **{method: whole["paths"][path][method] for method in methods},
        }
        for path, methods in OPERATIONS.items()
    }
    components: dict[str, dict[str, Any]] = {}
    _collect(paths, whole, components)
    kept = {
        "openapi": whole["openapi"],
        "info": {"title": "GitHub, trimmed", "version": whole["info"]["version"]},
    }
    bare: dict[str, Any] = _bare({"paths": paths, "components": components})
    return {**kept, **bare}


def _collect(node: Any, whole: dict[str, Any], components: dict[str, dict[str, Any]]) -> None:
    """Add every component that `node` refers to, and what those refer to."""
    waiting = [node]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            ref = item.get("$ref")
            if isinstance(ref, str):
                _, _, kind, name = ref.split("/")
                if kind != "examples" and name not in components.setdefault(kind, {}):
                    components[kind][name] = whole["components"][kind][name]
                    waiting.append(components[kind][name])
            waiting.extend(v for k, v in item.items() if k not in {"example", "examples"})


def _bare(node: Any, *, names: bool = False) -> Any:
    """`node` without prose; `names` when its keys name things, as below `properties`."""
    if isinstance(node, list):
        return [_bare(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _bare(value, names=not names and key in _NAMES_OF_THINGS and isinstance(value, dict))
        for key, value in sorted(node.items())
        if names or not (_is_prose(key, value) or key.startswith("x-"))
    }


def _is_prose(key: str, value: Any) -> bool:
    """Whether this key only tells people something. A response must keep a description, if an empty one."""
    return key in _PROSE and not (isinstance(value, dict) and key == "title")


def render(trimmed: dict[str, Any]) -> str:
    """As committed: one operation or component a line, so that a diff can be read."""
    parts = []
    for section in ("paths", *(f"components/{k}" for k in sorted(trimmed["components"]))):
        node = trimmed
        for step in section.split("/"):
            node = node[step]
        rows = ",\n".join(f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in node.items())
        parts.append((section, "{\n" + rows + "\n}"))
    inner = ",\n".join(f"{json.dumps(s.split('/')[1])}:{text}" for s, text in parts[1:])
    head = {"openapi": trimmed["openapi"], "info": trimmed["info"]}
    return json.dumps(head)[:-1] + f',\n"paths":{parts[0][1]},\n"components":{{\n{inner}\n}}}}\n'


def main() -> None:
    """Write the trimmed file anew."""
    whole = json.loads(SOURCE.read_text(encoding="utf-8"))
    TRIMMED.write_text(render(trim(whole)), encoding="utf-8")
    print(f"{TRIMMED} {TRIMMED.stat().st_size} bytes")


if __name__ == "__main__":
    main()
