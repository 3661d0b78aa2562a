"""What each operation on pulls, reviews, checks and statuses does, and refuses, as GitHub does."""

from __future__ import annotations

from typing import Any

from tests.kit.github_server import diffs
from tests.kit.github_server.routes import (
    MAX_BODY,
    MAX_TITLE,
    Call,
    R,
    Refused,
    Reply,
    _check_text,
    _invalid,
    _pull,
    route,
)
from tests.kit.github_server.state import CheckRun, Issue, Pull, Review, Status

MAX_OUTPUT = 65_535
MAX_ANNOTATIONS = 50


@route("GET", f"{R}/pulls", "pull_requests:read")
def list_pulls(call: Call) -> Reply:
    query = call.query
    owner, _, head = query.get("head", "").rpartition(":")
    state = query.get("state", "open")
    found = [
        i
        for i in call.state.issues.values()
        if i.pull
        and not i.deleted
        and state in {"all", i.state}
        and head in {"", i.pull.head}
        and owner in {"", i.pull.fork.partition("/")[0] or call.state.owner}
        and query.get("base") in {None, i.pull.base}
    ]
    found.sort(key=lambda i: i.number, reverse=query.get("direction", "desc") == "desc")
    return Reply(items=list(found), show=lambda i: call.show.pull(i, simple=True))


@route("POST", f"{R}/pulls", "pull_requests:write")
def create_pull(call: Call) -> Reply:
    state = call.state
    owner, _, branch = call.text("head").rpartition(":")
    base = call.text("base")
    if not call.text("title").strip():
        raise _invalid("PullRequest", "title", "missing_field")
    _check_text("PullRequest", "title", call.text("title"), MAX_TITLE)
    _check_text("PullRequest", "body", call.text("body"), MAX_BODY)
    if owner not in {"", state.owner} or not state.sha_of(branch):
        raise _invalid("PullRequest", "head", "invalid")
    if not state.sha_of(base):
        raise _invalid("PullRequest", "base", "invalid")
    if call.viewer.kind == "actions" and not state.may_open_pulls:
        raise Refused(403, "GitHub Actions is not permitted to create or approve pull requests.")
    if call.body.get("draft") and not state.drafts:
        raise Refused(422, "Draft pull requests are not supported in this repository.")
    if any(
        i.pull and (i.pull.head, i.pull.base, i.state) == (branch, base, "open")
        for i in state.issues.values()
    ):
        message = f"A pull request already exists for {state.owner}:{branch}."
        raise Refused(
            422, "Validation Failed", [{"resource": "PullRequest", "code": "custom", "message": message}]
        )
    if not state.git("rev-list", "--max-count=1", f"{base}..{branch}"):
        message = f"No commits between {base} and {branch}"
        raise Refused(
            422, "Validation Failed", [{"resource": "PullRequest", "code": "custom", "message": message}]
        )
    issue = state.add_issue(call.text("title"), call.text("body"), user=call.viewer.login, app=call.app)
    issue.pull = Pull(branch, base, bool(call.body.get("draft")))
    return Reply(201, call.show.pull(issue))


@route("GET", f"{R}/pulls/{{pull_number}}", "pull_requests:read")
def get_pull(call: Call) -> Reply:
    return Reply(data=call.show.pull(_pull(call)))


@route("PATCH", f"{R}/pulls/{{pull_number}}", "pull_requests:write")
def update_pull(call: Call) -> Reply:
    issue = _pull(call)
    assert issue.pull
    if "title" in call.body:
        _check_text("PullRequest", "title", call.text("title"), MAX_TITLE)
        issue.title = call.text("title")
    if "body" in call.body:
        _check_text("PullRequest", "body", call.text("body"), MAX_BODY)
        issue.body = call.text("body")
    if "base" in call.body:
        if not call.state.sha_of(call.text("base")):
            raise _invalid("PullRequest", "base", "invalid")
        issue.pull.base = call.text("base")
    issue.state = call.text("state", issue.state)
    issue.updated_at = call.state.now()
    return Reply(data=call.show.pull(issue))


@route("GET", f"{R}/pulls/{{pull_number}}/files", "pull_requests:read")
def pull_files(call: Call) -> Reply:
    found = _files(call, _pull(call))
    url = call.show.html
    at = {"blob_url": url, "raw_url": url, "contents_url": url}
    return Reply(items=list(found), show=lambda f: {**f, **at})


def _files(call: Call, issue: Issue) -> list[dict[str, Any]]:
    assert issue.pull
    return diffs.files(call.state, issue.pull.base, issue.pull.head)


@route("GET", f"{R}/pulls/{{pull_number}}/reviews", "pull_requests:read")
def list_reviews(call: Call) -> Reply:
    issue = _pull(call)
    assert issue.pull
    return Reply(items=list(issue.pull.reviews), show=lambda r: call.show.review(issue, r))


@route("POST", f"{R}/pulls/{{pull_number}}/reviews", "pull_requests:write")
def create_review(call: Call) -> Reply:
    issue = _pull(call)
    assert issue.pull
    event, body = call.text("event", "PENDING"), call.text("body")
    comments = call.body.get("comments") or []
    commit = call.text("commit_id") or call.state.sha_of(issue.pull.head) or ""
    _check_text("PullRequestReview", "body", body, MAX_BODY)
    if event in {"COMMENT", "REQUEST_CHANGES"} and not body.strip() and not comments:
        raise Refused(422, "Unprocessable Entity", ["body can't be blank"])
    if event == "APPROVE" and issue.user == call.viewer.login:
        raise Refused(422, "Unprocessable Entity", ["Review Can not approve your own pull request"])
    span = f"{issue.pull.base}..{issue.pull.head}"
    if commit not in (call.state.git("rev-list", span) or "").split():
        raise Refused(422, "Unprocessable Entity", ["The commit is not part of the pull request"])
    _check_lines(call, issue, comments)
    kept = [{**c, "id": next(call.state.ids)} for c in comments]
    review = Review(next(call.state.ids), call.viewer.login, body, event, commit, kept)
    issue.pull.reviews.append(review)
    issue.updated_at = call.state.now()
    return Reply(200, call.show.review(issue, review))


def _check_lines(call: Call, issue: Issue, comments: list[dict[str, Any]]) -> None:
    shown = (
        {f["filename"]: diffs.right_lines(f.get("patch", "")) for f in _files(call, issue)}
        if comments
        else {}
    )
    for comment in comments:
        if comment["path"] not in shown:
            raise Refused(422, "Unprocessable Entity", ["Path could not be resolved"])
        if comment.get("line") not in shown[comment["path"]]:
            raise Refused(422, "Unprocessable Entity", ["Line could not be resolved"])


@route("GET", f"{R}/pulls/{{pull_number}}/comments", "pull_requests:read")
def list_review_comments(call: Call) -> Reply:
    issue = _pull(call)
    assert issue.pull
    rows = [(r, c) for r in issue.pull.reviews for c in r.comments]
    return Reply(items=list(rows), show=lambda row: call.show.review_comment(issue, *row))


@route("POST", f"{R}/pulls/{{pull_number}}/comments/{{comment_id}}/replies", "pull_requests:write")
def reply_to_review_comment(call: Call) -> Reply:
    issue = _pull(call)
    assert issue.pull
    body, top = call.text("body"), int(call.params["comment_id"])
    _check_text("PullRequestReviewComment", "body", body, MAX_BODY)
    for review in issue.pull.reviews:
        for comment in review.comments:
            if comment["id"] == top and not comment.get("in_reply_to_id"):
                kept = {**comment, "id": next(call.state.ids), "body": body, "in_reply_to_id": top}
                kept["login"] = call.viewer.login
                review.comments.append(kept)
                return Reply(201, call.show.review_comment(issue, review, kept))
    raise Refused(404, "Not Found")


# checks and statuses


def _commit(call: Call, sha: str) -> str:
    if not call.state.has_commit(sha):
        raise Refused(422, f"No commit found for SHA: {sha}")
    return sha


def _need_app(call: Call) -> None:
    if call.viewer.kind == "user":
        raise Refused(403, "You must authenticate via a GitHub App.")


def _output(call: Call, run: CheckRun) -> None:
    output = call.body.get("output")
    if output is None:
        return
    for name in ("summary", "text"):
        text = output.get(name) or ""
        if len(text) > MAX_OUTPUT or len(text.encode()) > MAX_OUTPUT:
            raise Refused(
                422,
                f"Only {MAX_OUTPUT} characters are allowed; {len(text)} were supplied.",
            )
    annotations = output.get("annotations") or []
    if len(annotations) > MAX_ANNOTATIONS:
        raise Refused(
            422,
            f"No more than {MAX_ANNOTATIONS} items are allowed; {len(annotations)} were supplied.",
        )
    run.output = {k: output.get(k, run.output.get(k)) for k in ("title", "summary", "text")}
    run.annotations.extend(annotations)


def _conclude(call: Call, run: CheckRun) -> None:
    run.status = call.text("status", run.status)
    if call.body.get("conclusion"):
        run.status, run.conclusion = "completed", call.body["conclusion"]
        run.completed_at = call.state.now()


@route("POST", f"{R}/check-runs", "checks:write")
def create_check(call: Call) -> Reply:
    _need_app(call)
    sha = _commit(call, call.text("head_sha"))
    external = call.text("external_id")
    run = CheckRun(
        next(call.state.ids),
        call.text("name"),
        sha,
        "queued",
        None,
        external,
        {},
        call.app or "",
        call.state.now(),
    )
    _output(call, run)
    _conclude(call, run)
    call.state.checks[run.id] = run
    return Reply(201, call.show.check(run))


def _run(call: Call) -> CheckRun:
    run = call.state.checks.get(int(call.params["check_run_id"]))
    if run is None:
        raise Refused(404, "Not Found")
    return run


@route("GET", f"{R}/check-runs/{{check_run_id}}", "checks:read")
def get_check(call: Call) -> Reply:
    return Reply(data=call.show.check(_run(call)))


@route("PATCH", f"{R}/check-runs/{{check_run_id}}", "checks:write")
def update_check(call: Call) -> Reply:
    _need_app(call)
    run = _run(call)
    if run.app != (call.app or ""):
        raise Refused(403, "Resource not accessible by integration")
    _output(call, run)
    _conclude(call, run)
    return Reply(data=call.show.check(run))


@route("GET", f"{R}/check-runs/{{check_run_id}}/annotations", "checks:read")
def check_annotations(call: Call) -> Reply:
    run = _run(call)
    return Reply(items=list(run.annotations), show=lambda a: call.show.annotation(a))


@route("GET", f"{R}/commits/{{ref}}/check-runs", "checks:read")
def checks_of_commit(call: Call) -> Reply:
    sha = call.state.git("rev-parse", "--verify", "--quiet", f"{call.params['ref']}^{{commit}}")
    if sha is None:
        raise Refused(422, f"No commit found for SHA: {call.params['ref']}")
    name = call.query.get("check_name")
    runs = [r for r in call.state.checks.values() if r.head_sha == sha and name in {None, r.name}]
    if call.query.get("filter", "latest") == "latest":
        runs = list({(r.name, r.app): r for r in runs}.values())
    return Reply(items=list(runs), show=lambda r: call.show.check(r), key="check_runs")


@route("POST", f"{R}/statuses/{{sha}}", "statuses:write")
def create_status(call: Call) -> Reply:
    sha = _commit(call, call.params["sha"])
    _check_text("Status", "description", call.text("description"), 140)
    status = Status(
        next(call.state.ids),
        sha,
        call.text("state"),
        call.text("context", "default"),
        call.body.get("description"),
        call.body.get("target_url"),
        call.viewer.login,
        call.state.now(),
    )
    call.state.statuses.append(status)
    return Reply(201, call.show.status(status))


def _statuses(call: Call) -> list[Status]:
    sha = call.state.git("rev-parse", "--verify", "--quiet", f"{call.params['ref']}^{{commit}}")
    if sha is None:
        raise Refused(404, "Not Found")
    return [s for s in reversed(call.state.statuses) if s.sha == sha]


@route("GET", f"{R}/commits/{{ref}}/statuses", "statuses:read")
def statuses_of_commit(call: Call) -> Reply:
    return Reply(items=list(_statuses(call)), show=lambda s: call.show.status(s))


@route("GET", f"{R}/commits/{{ref}}/status", "statuses:read")
def combined_status(call: Call) -> Reply:
    latest = {s.context: s for s in reversed(_statuses(call))}
    states = {s.state for s in latest.values()}
    worst = (
        "failure"
        if states & {"failure", "error"}
        else "pending"
        if "pending" in states or not states
        else "success"
    )
    shown = []
    for status in latest.values():
        row = call.show.status(status)
        row.pop("creator")
        shown.append({**row, "required": None})
    data = {
        "state": worst,
        "sha": call.params["ref"],
        "total_count": len(shown),
        "statuses": shown,
        "repository": call.show.repository("minimal-repository"),
        "commit_url": call.show.repo_url,
        "url": call.show.repo_url,
    }
    return Reply(data=data)


@route("GET", f"{R}/git/ref/{{ref}}", "contents:read")
def get_ref(call: Call) -> Reply:
    name = call.params["ref"]
    sha = call.state.git("rev-parse", "--verify", "--quiet", f"refs/{name}")
    if sha is None:
        raise Refused(404, "Not Found")
    url = f"{call.show.repo_url}/git/refs/{name}"
    made = {
        "ref": f"refs/{name}",
        "node_id": "REF_1",
        "url": url,
        "object": {"type": "commit", "sha": sha, "url": url},
    }
    return Reply(data=made)
