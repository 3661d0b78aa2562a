"""Run the benchmarks that are named, or all there are."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import platform
import sys

import benchmarks


def main(arguments: list[str]) -> None:
    """Import each module and call its `main()`; what begins with `--` and follows is for the last one named."""
    start = next((n for n, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    names, options = arguments[:start], arguments[start:]
    found = [m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_")]
    unknown = sorted(set(names) - set(found))
    if unknown:
        sys.exit(f"error: no benchmark named {', '.join(unknown)}\nhint: there are {', '.join(found)}")
    python = platform.python_version()
    print(f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, Python {python}")
    print(f"load before: {', '.join(f'{load:.2f}' for load in os.getloadavg())}")
    for name in names or found:
        module = importlib.import_module(f"benchmarks.{name}")
        if not hasattr(module, "main"):
            continue
        if not inspect.signature(module.main).parameters:
            module.main()
        elif options or name in names:
            module.main(options)
        else:
            print(f"{name}: left out, as it takes long: python -m benchmarks {name} --help")


if __name__ == "__main__":
    main(sys.argv[1:])
