"""The pre-push hook: judges the commits being pushed, not the dirty tree.

Why it looks different from the rest of the package: `git push` waits for it. What runs on every push
(`push`, `policy`, `fast_git`, `passes`) imports nothing but `os` and builtins, because each of json, re,
dataclasses, typing, subprocess and signal costs between 4 and 20 ms of CPU; what is needed only to run
gates, install or audit is imported when it is needed.
"""
