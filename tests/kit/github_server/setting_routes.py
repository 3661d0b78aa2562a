"""How a repository is set up: rules of branches, settings of Actions, secrets' names, refs."""

from __future__ import annotations

from tests.kit.github_server.routes import Call, R, Refused, Reply, route
from tests.kit.github_server.schema import fill
from tests.kit.github_server.state import STAMP_OF_SECRETS


@route("GET", f"{R}/rules/branches/{{branch}}")
def rules_of_branch(call: Call) -> Reply:
    source = {"ruleset_source_type": "Repository", "ruleset_source": call.state.full_name}
    return Reply(items=[{**source, "ruleset_id": 1, **rule} for rule in call.state.rules])


@route("GET", f"{R}/activity", "contents:read")
def activity(call: Call) -> Reply:
    """Newest first, from the bare repository's own reflog."""
    ref = call.query["ref"]
    reflog = call.state.git_dir / "logs" / ref
    lines = reflog.read_text().splitlines() if reflog.exists() else []
    return Reply(items=[call.show.activity(ref, line) for line in reversed(lines)])


@route("GET", f"{R}/rulesets/{{ruleset_id}}")
def ruleset(call: Call) -> Reply:
    given = {
        "id": int(call.params["ruleset_id"]),
        "name": "rules of branches",
        "source": call.state.full_name,
        "enforcement": "active",
        "current_user_can_bypass": call.state.bypass,
    }
    return Reply(data=fill("repository-ruleset", given, api=call.show.api))


@route("GET", f"{R}/actions/permissions/workflow", "administration:read")
def workflow_permissions(call: Call) -> Reply:
    allowed = call.state.may_open_pulls
    return Reply(data={"default_workflow_permissions": "read", "can_approve_pull_request_reviews": allowed})


@route("PUT", f"{R}/actions/permissions/workflow", "administration:write")
def set_workflow_permissions(call: Call) -> Reply:
    call.state.may_open_pulls = bool(call.body["can_approve_pull_request_reviews"])
    return Reply(204)


@route("GET", f"{R}/actions/secrets/{{secret_name}}", "secrets:read")
def get_secret(call: Call) -> Reply:
    name = call.params["secret_name"]
    if name not in call.state.secrets:
        raise Refused(404, "Not Found")
    return Reply(data={"name": name, "created_at": STAMP_OF_SECRETS, "updated_at": STAMP_OF_SECRETS})


@route("GET", f"{R}/actions/organization-secrets", "secrets:read")
def organization_secrets(call: Call) -> Reply:
    return Reply(items=[], key="secrets")


@route("POST", f"{R}/git/refs", "contents:write")
def create_ref(call: Call) -> Reply:
    state = call.state
    if state.git("rev-parse", "--verify", "--quiet", call.text("ref")):
        raise Refused(422, "Reference already exists")
    raise Refused(422, "Object does not exist")
