"""The line of a tool's output that says why it failed. The outputs are shortened from what the tools printed."""

import pytest

from orchestrator_action.text.causes import cause_of, last_said

COMPOSER = """
In RemoteFilesystem.php line 476:

  The "https://packagist.org/packages.json" file could not be downloaded
  : php_network_getaddresses

install [--prefer-source] [--prefer-dist] [--dry-run] [--] [<packages>...]

"""
BUNDLER = """Don't run Bundler as root. Bundler can ask for sudo if it is needed, and
installing your bundle as root will break this application for all non-root
users on this machine.
Could not reach host index.rubygems.org. Check your network connection and try
again.
"""
NPM = """npm error code ECONNREFUSED
npm error syscall connect
npm error errno ECONNREFUSED
npm error FetchError: request to http://127.0.0.1:9/left-pad failed, reason: connect ECONNREFUSED 127.0.0.1:9
npm error     at ClientRequest.<anonymous> (/usr/lib/node_modules/npm/node_modules/minipass-fetch/lib/index.js:130:14)
npm error   code: 'ECONNREFUSED',
npm error
npm error A complete log of this run can be found in: /home/u/.npm/_logs/2026-11-30T05_47_24_676Z-debug-0.log
"""
NPM_SCRIPT = """> install
> node build.js

[eval]:1
Error: no compiler found
    at [eval]:1:25
    at runScript (node:internal/process/execution:101:62)

Node.js v20.20.2
npm error code 1
npm error path /tmp/why/npm2
npm error command failed
npm error command sh -c node build.js
npm error A complete log of this run can be found in: /home/u/.npm/_logs/2026-11-30T05_47_33_928Z-debug-0.log
"""
PIP_BUILD = """  error: subprocess-exited-with-error

  × Preparing metadata (pyproject.toml) did not run successfully.
  │ exit code: 1
  ╰─> [13 lines of output]
      Traceback (most recent call last):
        File "/tmp/p/b.py", line 1, in build_wheel
      RuntimeError: the compiler is too old
      [end of output]

  note: This error originates from a subprocess, and is likely not a problem with pip.
error: metadata-generation-failed

× Encountered error while generating package metadata.
╰─> See above for output.

note: This is an issue with the package mentioned above, not pip.
hint: See above for details.
"""
PIP_REACH = """Looking in indexes: http://127.0.0.1:9/simple
WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('Failed to establish: \
[Errno 111] Connection refused')': /simple/foo/
ERROR: Could not find a version that satisfies the requirement foo (from versions: none)
ERROR: No matching distribution found for foo
"""
PIP_NONE = """ERROR: Could not find a version that satisfies the requirement foo==9 (from versions: none)
ERROR: No matching distribution found for foo==9
"""
MAVEN = """\x1b[0m[ERROR] Failed to execute goal on project a: Could not resolve dependencies for project a:a:jar:1
[ERROR]
[ERROR] To see the full stack trace of the errors, re-run Maven with the -e switch.
[ERROR] For more information about the errors and possible solutions, please read the following articles:
[ERROR] [Help 1] http://cwiki.apache.org/confluence/display/MAVEN/PluginResolutionException
\x1b[0m
"""
RUSTUP = """error: rustup could not choose a version of cargo to run, because one wasn't specified explicitly.
help: run 'rustup default stable' to download the latest stable release of Rust.

Stack backtrace:
   0: anyhow::error::<impl core::convert::From<E> for anyhow::Error>::from
  13: <unknown>
"""
PNPM = """Progress: resolved 119, reused 0, downloaded 117, added 104
 ERR_PNPM_FETCH_404  GET https://registry.npmjs.org/a/-/a-1.17.0.tgz: Not Found - 404

No authorization header was set for the request.
"""
RAKE = """rake aborted!
NoMethodError: undefined method `cov_filter=' for #<Hoe:0x00007f9f7a6957f0>

  self.cov_filter = %w[ tmp ]
      ^^^^^^^^^^^^^
/tmp/minitest/Rakefile:11:in `<top (required)>'
(See full trace by running task with --trace)
"""
CARGO = """error: failed to get `serde` as a dependency of package `a v0.1.0 (/tmp/a)`

Caused by:
  failed to query replaced source registry `crates-io`

Caused by:
  [6] Could not resolve hostname (Could not resolve host: index.crates.io)
"""


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        (COMPOSER, 'The "https://packagist.org/packages.json" file could not be downloaded : php_network_getaddresses'),
        (BUNDLER, "Could not reach host index.rubygems.org. Check your network connection and try again."),
        (NPM, NPM.splitlines()[3]),
        (NPM_SCRIPT, "Error: no compiler found"),
        (PIP_BUILD, "RuntimeError: the compiler is too old"),
        (PIP_REACH, PIP_REACH.splitlines()[1]),
        (PIP_NONE, "ERROR: No matching distribution found for foo==9"),
        (MAVEN, "[ERROR] Failed to execute goal on project a: Could not resolve dependencies for project a:a:jar:1"),
        (RUSTUP, RUSTUP.splitlines()[0]),
        (PNPM, "ERR_PNPM_FETCH_404 GET https://registry.npmjs.org/a/-/a-1.17.0.tgz: Not Found - 404"),
        (RAKE, RAKE.splitlines()[1]),
        (CARGO, "[6] Could not resolve hostname (Could not resolve host: index.crates.io)"),
        ('go: github.com/x/y@v0.5.2: Get "https://proxy.golang.org/y.mod": dial tcp: no such host\n',
         'go: github.com/x/y@v0.5.2: Get "https://proxy.golang.org/y.mod": dial tcp: no such host'),
        ("warn: This version of pnpm requires at least Node.js v22.13\nbye\n",
         "warn: This version of pnpm requires at least Node.js v22.13"),
        ("one\nwhat it said last\n", "what it said last"),
        ("\n \x1b[0m\n", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_line_that_says_why_is_found(output: str, cause: str):
    assert cause_of(output) == cause


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("npm error audit endpoint returned an error\nnpm error A complete log of this run can be found in: /x.log\n\n",
         "npm error audit endpoint returned an error"),
        ("1 failed\nerror: metadata-generation-failed\n", "1 failed"),
        ("for more information, see x\n", "for more information, see x"),
        ("\n", ""),
    ],
)  # fmt: skip
def test_the_last_line_is_not_the_name_of_a_log(output: str, said: str):
    assert last_said(output) == said
