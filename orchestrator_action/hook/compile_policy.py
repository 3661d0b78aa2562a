"""YAML to policy text, in a helper process with site-packages: text on stdin, policy on stdout.

Exit code 2 with every finding on stderr when the file cannot be used.
"""

import sys

from orchestrator_action.config.schema import Config
from orchestrator_action.errors import ConfigError
from orchestrator_action.hook.base import CONFIG_PATH
from orchestrator_action.hook.policy import HookGate, PushPolicy, encode_policy


def compile_policy(text: str) -> PushPolicy:
    """The policy in a configuration text. Raises ConfigError with file, line and column of every fault."""
    from orchestrator_action.config.load import load_text

    return of_config(load_text(text, source=CONFIG_PATH))


def of_config(config: Config) -> PushPolicy:
    """What of a configuration concerns the hook."""
    policy = PushPolicy()
    policy.protected.extend(config.hook.protected_branches)
    policy.remotes.extend((rules.match, list(rules.protected_branches)) for rules in config.hook.remotes)
    policy.timeout_s = config.hook.timeout
    policy.isolation = config.isolation
    policy.trees = config.trees
    policy.setup_timeout_s = config.setup_timeout
    policy.setup_commands.extend(config.setup)
    policy.network.extend(config.network)
    policy.sandbox_read.extend(config.sandbox.read)
    policy.sandbox_write.extend(config.sandbox.write)
    for name in ("other_refs", "jobs", "fail_fast", "clean", "setup"):
        setattr(policy, name, getattr(config.hook, name))
    policy.phases.update({phase: str(demand) for phase, demand in config.phases.items()})
    for given in config.hook.gates:
        gate = HookGate(given.name, given.command, given.timeout, given.key, given.cache)
        for name in ("inputs", "link", "env", "only", "skip"):
            getattr(gate, name).extend(getattr(given, name))
        policy.gates.append(gate)
    return policy


def main() -> int:
    """Compile stdin to stdout."""
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
        compiled = encode_policy(compile_policy(text))
    except UnicodeDecodeError as exc:
        print(f"{CONFIG_PATH}:1:1: not UTF-8 text ({exc.reason})", file=sys.stderr)
        return 2
    except ConfigError as exc:
        print(exc.message, file=sys.stderr)
        return 2
    sys.stdout.buffer.write(compiled)
    return 0
