"""The pre-push hook: judges the commits being pushed, not the dirty tree.

Why it looks different from the rest of the package: `git push` waits for it. What runs on every push
(`push`, `base`, `policy`, `passes`, `fast_git`) imports nothing but `os` and builtins, because each of json,
re, dataclasses, typing, subprocess and signal costs between 4 and 20 ms of CPU. What is needed only to run
gates, install or audit is imported when it is needed; gates run under the guards of `process`.

`push` reads top to bottom: the ref lines, the `base` that says what is demanded (`ask_remote` asks for it),
the `policy`, what passed before (`passes`), then `gates`: a tree of exactly the commit (`gate_checkout`) with a
repository of its own (`gate_repository`), an environment that leads nowhere else (`gate_env`), walls
(`gate_walls`). `verbs` are the user's commands.
"""
