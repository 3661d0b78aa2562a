"""The command line's families: options come in, a function below is called, words and one object go out.

Nothing is decided here. What is for people goes to stderr; with `--json`, stdout holds one object and
nothing else. Heavy imports are late, so that `--help` answers at once.
"""
