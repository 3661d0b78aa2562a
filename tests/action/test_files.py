"""action.yml, our workflows and the examples, held to GitHub's schemas and to zizmor's strictest persona."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from orchestrator_action.agents.registry import AGENTS, secret_variables
from orchestrator_action.config.schema import CHECK_NAME, Config
from orchestrator_action.run.steps.plan import MAX_SHARDS
from tests.conftest import NPM, need
from tests.kit.act import PROJECT

ACTION = PROJECT / "action.yml"
WORKFLOWS = sorted([*(PROJECT / ".github/workflows").glob("*.yml"), *(PROJECT / "examples").glob("*.yml")])
INPUTS = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["inputs"]
OUTPUTS = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["outputs"]


def tool(name: str, *args: object) -> subprocess.CompletedProcess[str]:
    program = need(Path(sys.executable).with_name(name), name)
    return subprocess.run(
        [program, *map(str, args)], capture_output=True, text=True, check=False, timeout=100, cwd=PROJECT
    )


def test_zizmor_finds_nothing_at_its_strictest():
    done = tool("zizmor", "--offline", "--persona=pedantic", "--no-progress", ACTION, *WORKFLOWS)

    assert (0, True) == (done.returncode, "No findings to report" in done.stdout + done.stderr), done.stdout


def test_each_ignored_finding_says_why():
    """In words beside the mark, or in a comment just above it."""
    for file in (ACTION, *WORKFLOWS):
        lines = file.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if "zizmor: ignore" in line:
                said = re.sub(r".*zizmor: ignore\[[a-z-]+\]", "", line).strip()
                above = "\n".join(lines[max(0, number - 3) : number])
                assert said or "#" in above, f"{file.name}:{number + 1}"


def test_the_action_is_as_github_wants_it():
    done = tool("check-jsonschema", "--builtin-schema", "vendor.github-actions", ACTION)
    assert 0 == done.returncode, done.stdout


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda f: f.name)
def test_each_workflow_is_as_github_wants_it(file: Path):
    for done in (
        tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", file),
        tool("actionlint", file),
    ):
        assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.npm
def test_the_ruleset_is_one_that_github_takes_and_names_the_check():
    """Held to GitHub's own description of the request (npm @octokit/openapi)."""
    file = need(NPM / "@octokit/openapi/generated/api.github.com.json", "@octokit/openapi")
    api = json.loads(file.read_text(encoding="utf-8"))
    request = api["paths"]["/repos/{owner}/{repo}/rulesets"]["post"]["requestBody"]
    schema = {**request["content"]["application/json"]["schema"], "components": api["components"]}
    ruleset = json.loads((PROJECT / "examples/require-check.json").read_text(encoding="utf-8"))
    check = jsonschema.Draft202012Validator(schema)

    assert [] == [e.message for e in check.iter_errors(ruleset)]
    [required] = ruleset["rules"][0]["parameters"]["required_status_checks"]
    assert CHECK_NAME == required["context"]
    ruleset["rules"][1]["parameters"]["merge_method"] = "ANY"
    assert 1 == len(list(check.iter_errors(ruleset))), "the description finds nothing"


def test_everything_used_is_pinned_by_commit_with_its_version_beside_it():
    for file in (ACTION, *WORKFLOWS):
        for line in file.read_text(encoding="utf-8").splitlines():
            used = re.search(r"uses: (\S+)(.*)", line)
            if used and not used[1].startswith(("./", "orchestrator-action/", "<owner>")):
                assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used[1]), line
                assert re.search(r"# v\d+\.\d+\.\d+", used[2]), line


def test_no_script_line_holds_an_input():
    """They reach the program by environment only: a line of a script would run them."""
    steps = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["runs"]["steps"]
    scripts = [s["run"] for s in steps if "run" in s]

    assert len(scripts) >= 4
    assert [] == [s for s in scripts if "${{" in s]


def test_the_step_that_runs_becomes_our_program():
    """With a shell in between a SIGINT never reaches Python, and the shell keeps the token readable."""
    steps = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["runs"]["steps"]
    holding = [s for s in steps if "INPUT_GITHUB_TOKEN" in s.get("env", {})]

    assert ["Run", "Settle"] == [s["name"] for s in holding]
    assert {'exec "$PYTHON" -I -B -X "pycache_prefix=$BYTECODE" -m orchestrator_action.action'} == {
        s["run"] for s in holding
    }
    assert "always()" in holding[1]["if"]


def test_every_input_reaches_the_program():
    text = ACTION.read_text(encoding="utf-8")
    for name in INPUTS:
        assert f"inputs.{name} }}}}" in text or f"inputs.{name} ==" in text, name
        if name not in {"mode", "agent", *(f"{agent}-version" for agent in AGENTS)}:
            assert f"INPUT_{name.upper().replace('-', '_')}: ${{{{ inputs.{name} }}}}" in text, name


def test_inputs_are_kebab_case_described_and_have_a_default():
    for name, given in INPUTS.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
        assert given["description"] and "default" in given, name


def test_inputs_that_are_configuration_bear_its_names():
    ours = {f.replace("_", "-") for f in Config.__dataclass_fields__}
    of_the_step = {
        "mode", "github-token", "app-id", "app-private-key", "issue", "config", "path", "branch", "document", "dry-run",
        "signing-key", "bases",
        *(name.lower().replace("_", "-") for name in secret_variables()), *(f"{name}-version" for name in AGENTS),
    }  # fmt: skip
    assert set() == set(INPUTS) - of_the_step - ours


def test_the_outputs_are_those_promised():
    assert {
        "conclusion", "results", "succeeded", "failed", "pull-requests", "run-id", "report-path", "cost-usd",
        "document", "digest", "bases", "python", "envelope", "sarif", "junit",
    } == set(OUTPUTS)  # fmt: skip


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda f: f.name)
def test_no_checkout_leaves_a_token_behind(file: Path):
    text = file.read_text(encoding="utf-8")
    assert text.count("uses: actions/checkout@") == text.count("persist-credentials: false")


def jobs_of(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((PROJECT / ".github/workflows" / name).read_text(encoding="utf-8"))["jobs"])


MATRIX = jobs_of("orchestrate-matrix.yml")
WAVE = jobs_of("orchestrate-wave.yml")
ATTEST = jobs_of("orchestrate-attest.yml")
CALLS = {name: job for name, job in MATRIX.items() if "uses" in job}
JOBS = {name: job for name, job in {**MATRIX, **WAVE}.items() if name not in CALLS}


def test_only_publish_may_write_and_no_job_with_foreign_code_has_a_token():
    """base, work, verify and integrate run foreign code: they read only. Only work and review have the agent's key."""
    may_write = {
        name: {k for k, v in job["permissions"].items() if v == "write"} for name, job in JOBS.items()
    }
    holds = {name: str(job) for name, job in JOBS.items()}

    assert {
        "plan": {"issues"},
        "base": set(),
        "work": set(),
        "verify": set(),
        "review": set(),
        "integrate": set(),
    } == {n: w for n, w in may_write.items() if n != "publish"}
    assert {"contents", "issues", "pull-requests", "checks"} == may_write["publish"]
    assert ["plan", "publish"] == [n for n, text in holds.items() if "github.token" in text]
    assert ["work", "review"] == [n for n, text in holds.items() if "secrets." in text]
    assert [] == [n for n, text in holds.items() if "id-token" in text or "actions/cache" in text]
    for name in ("base", "work", "verify", "review", "integrate"):
        assert {"contents": "read"} == JOBS[name]["permissions"]


def test_the_waves_are_the_same_job_but_for_what_came_before_and_may_only_read():
    assert ["wave-1", "wave-2", "wave-3"] == list(CALLS)
    for number, call in enumerate(CALLS.values(), 1):
        earlier = [f"wave-{n}" for n in range(1, number)]
        assert ["plan", "base", *earlier] == call["needs"] and {"contents": "read"} == call["permissions"]
        given = dict(call["with"])
        for what in ("bundles", "verdicts"):
            said = given.pop(f"earlier-{what}", "")
            assert [f"${{{{ needs.{wave}.outputs.{what} }}}}" for wave in earlier] == re.findall(
                r"\$\{\{.+?\}\}", said
            )
        assert CALLS["wave-1"]["uses"] == call["uses"] and CALLS["wave-1"]["secrets"] == call["secrets"]
        assert str(CALLS["wave-1"]["with"]).replace("-1 }}", f"-{number} }}}}").replace(
            "'1'", f"'{number}'"
        ) == str(given)
    assert [*CALLS] == [n for n in MATRIX["publish"]["needs"] if n.startswith("wave")]
    [most] = re.findall(r'"\$WAVES" -gt (\d+)', script_of("plan", "plan"))
    assert len(CALLS) == int(most)


def test_a_job_that_dies_does_not_fail_its_wave_so_that_what_the_others_said_is_handed_on():
    """Whether GitHub hands on the outputs of a called workflow that failed is not written down anywhere."""
    assert {True} == {job["continue-on-error"] for job in WAVE.values()}


def test_the_job_that_signs_checks_nothing_out_and_writes_nothing_to_the_repository():
    [job] = ATTEST.values()

    assert {"id-token": "write", "attestations": "write"} == job["permissions"]
    assert [] == [s for s in job["steps"] if "checkout" in s.get("uses", "") or "cache" in s.get("uses", "")]


def test_the_digests_of_every_job_of_a_matrix_travel_by_job_outputs():
    """As many places as jobs: a matrix has no other way to hand on one output for each of its jobs."""
    [most] = re.findall(r'"\$SHARDS" -gt (\d+)', script_of("plan", "plan"))

    steps = (
        ("work", "digests", int(most)),
        ("verify", "verify", MAX_SHARDS),
        ("review", "review", MAX_SHARDS),
    )
    for (name, step, places), letter in zip(steps, "bvr", strict=True):
        wanted = {
            f"{letter}{n}": f"${{{{ steps.{step}.outputs.{letter}{n} }}}}" for n in range(1, places + 1)
        }
        assert wanted == WAVE[name]["outputs"]


def test_no_line_of_the_matrix_holds_what_somebody_else_wrote():
    """They reach the scripts by environment only."""
    jobs = [*JOBS.values(), *ATTEST.values()]
    scripts = [step["run"] for job in jobs for step in job["steps"] if "run" in step]

    assert 9 == len(scripts) and [] == [s for s in scripts if "${{" in s]


def script_of(job: str, step: str) -> str:
    [found] = [s["run"] for s in JOBS[job]["steps"] if s.get("id") == step]
    return str(found)


def started(script: str, tmp_path: Path, **env: str) -> list[list[str]]:
    """Run a step's script as a runner does, with a Python that notes how it is started instead of us."""
    stand_in = tmp_path / "python"
    stand_in.write_text(
        f'#!/bin/sh\nif [ "$2" = -c ]; then exec {sys.executable} "$@"; fi\n'
        f"printf '%s\\n' \"$@\" end >>{tmp_path}/started\n[ $4 = verify ] && echo '{{}}' >\"verdict/$ONE.json\"; true\n"
    )
    stand_in.chmod(0o755)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script], cwd=tmp_path, text=True, check=False,
        env={"PATH": os.environ["PATH"], "PYTHON": str(stand_in), "GITHUB_OUTPUT": str(tmp_path / "output"), **env},
        capture_output=True,
    )  # fmt: skip
    assert (tmp_path / "started").exists(), done.stderr
    calls = (tmp_path / "started").read_text().split("end\n")
    return [call.splitlines() for call in calls if call]


GARBAGE = "$(touch pwned) --accept \n }{ 'x"


def test_whatever_a_work_job_says_of_digests_only_digests_are_taken(tmp_path: Path):
    """Root there can set any output of the matrix: garbage must not keep the other tasks from being published."""
    good, other = "a" * 64, "b" * 64
    said = json.dumps({"b1": json.dumps({"issue-1": good}), "b2": GARBAGE, "b3": "", "b4": "[1]"})

    [publish, *_] = started(
        script_of("publish", "publish"), tmp_path, BUNDLES_1=said, BUNDLES_2="",
        VERDICTS_3=json.dumps({"v1": f"{other} "}), REVIEWS_1=json.dumps({}), INTEGRATION="", SHA256="c" * 64,
    )  # fmt: skip

    given = [publish[n + 1] for n, word in enumerate(publish) if word == "--accept"]
    assert {"", good, other} == set(given)
    assert not (tmp_path / "pwned").exists()


def test_a_verify_job_asks_for_each_of_its_bundles_by_its_own_digest(tmp_path: Path):
    good = "a" * 64
    said = json.dumps({"b2": json.dumps({"issue-1": good, "issue-10": "b" * 64}), "b1": GARBAGE})

    calls = started(
        script_of("verify", "verify"), tmp_path, BUNDLES=said, PLACE="2", JOB="7", TASKS="issue-1 issue-3", BASE="",
        SHA256="c" * 64, ONE="issue-1",
    )  # fmt: skip

    assert [good, "none"] == [call[call.index("--bundle-sha256") + 1] for call in calls]
    output = (tmp_path / "output").read_text()
    assert output == f"v7={hashlib.sha256(b'{}' + bytes([10])).hexdigest()} \n"


@pytest.mark.parametrize("wave", [1, 2])
def test_a_work_job_takes_of_the_waves_before_only_what_their_jobs_said(tmp_path: Path, wave: int):
    """In the first wave there is nothing, whatever lies in this run's artifacts."""
    for folder in ("bundles/orchestrator-bundles-1/issue-1", "verdicts/orchestrator-verdict-1-1"):
        (tmp_path / "in" / folder).mkdir(parents=True)
    (tmp_path / "in/verdicts/orchestrator-verdict-1-1/issue-1.json").touch()
    bundle, verdict = "a" * 64, "b" * 64
    said = {
        "BUNDLES": json.dumps({"b1": json.dumps({"issue-1": bundle}), "b2": GARBAGE}),
        "VERDICTS": verdict,
    }

    [call] = started(
        script_of("work", "work"), tmp_path, SHARD="2", SHA256="c" * 64, BASE="", RUNNER_TEMP=str(tmp_path), ONE="x",
        **(said if wave == 2 else dict.fromkeys(said, "")),
    )  # fmt: skip

    assert {"in/bundles/orchestrator-bundles-1/issue-1"} == {w for w in call if w.startswith("in/bundles")}
    assert "in/verdicts/orchestrator-verdict-1-1/issue-1.json" == call[call.index("--verdict") + 1]
    given = [call[n + 1] for n, word in enumerate(call) if word == "--accept"]
    assert (["", bundle, verdict] if wave == 2 else [""]) == given
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(("digests", "code"), [('{"issue-1": "' + "a" * 64 + '"}', 0), ("{}", 1)])
def test_a_work_job_hands_on_what_is_there_and_fails_where_nothing_is(
    tmp_path: Path, digests: str, code: int
):
    """The step before it may fail as it likes: a task that is not well is no failure of the job."""
    (tmp_path / "digests.json").write_text(digests + "\n")
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)

    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script_of("work", "digests")], cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"], "PYTHON": str(python), "GITHUB_OUTPUT": str(tmp_path / "output"), "SHARD": "9",
            "PLACE": "3", "SHA256": "",
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert code == done.returncode, done.stderr
    assert f"b3={digests}\n" == (tmp_path / "output").read_text()
