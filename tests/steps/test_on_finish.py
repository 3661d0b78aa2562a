"""A run in four steps calls the webhook once, from `publish`, which runs nothing of the repository."""

from __future__ import annotations

import json
import sys

from tests.kit.receiver import receiver
from tests.kit.steps import Split
from tests.kit.whole import GOOD


def test_publish_calls_the_webhook_and_leaves_the_command_out(split: Split) -> None:
    with receiver() as there:
        split.home.configure(
            f"test: {sys.executable} -m unittest discover\non-finish: {{webhook: $HOOK, command: touch ran}}\n"
        )
        split.home.issue(1, "Add a module", GOOD)
        split.plan()

        ran = split.cli("publish", "publish", str(split.plan_file), "--json", env={"HOOK": there.url})

    assert 1 == ran.code, ran.err
    assert "on-finish: the command was left out: this step runs nothing of the repository\n" in ran.err
    [sent] = there.sent
    assert ran.report["run_id"] == json.loads(sent.body)["run_id"]
    assert ["failed"] == [t["status"] for t in json.loads(sent.body)["tasks"]], "its bundle never came"
