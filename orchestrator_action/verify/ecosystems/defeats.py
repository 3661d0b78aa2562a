"""What code says that makes a test pass whatever it finds: it ends the process, or takes comparison apart. Pure.

By the endings of files. A line is a line of the text; a shape may stand over several.
"""

from __future__ import annotations

import re

SCRIPTS = ("js", "cjs", "mjs", "jsx", "ts", "cts", "mts", "tsx")
_C = ("c", "cc", "cpp", "cxx", "h", "hpp", "hh")
_PERL = ("pl", "pm")
_SHELL = ("sh", "bash")

Defeat = tuple[tuple[str, ...], str, str]
"""Endings, a regular expression, and what it is called."""

_LATE = "changes the exit code at the end"
_PAST = "ends the process past the test runner"
TOOL = "replaces a part of the test library"
ENDS: tuple[Defeat, ...] = (
    (("py",), r"\bos\._exit\b|\bos\.abort\s*\(|\bsys\.exit\s*=[^=]", _PAST),
    (("py",), r"\batexit\.register\([^\n]*(?:\b_?exit\b|\bkill)", _LATE),
    (SCRIPTS, r"^\s*process\.exitCode\s*=\s*0\b|defineProperty\(\s*process\b[^\n]*exit", _LATE),
    (SCRIPTS, r"^(?:process\.(?:exit|reallyExit)\s*\(\s*0?\s*\))", "ends the process when it is loaded"),
    (SCRIPTS, r"(?:(?:setTimeout|setImmediate|queueMicrotask|nextTick)\(|(?:\.then|\.finally|\bon(?:ce)?)\((?!\s*['\"`]SIG[A-Z])"
     r"(?!.*=>.*process\.exit\(\s*(?:[1-9]|[a-z_$]))).*process\.(?:exit|reallyExit)\b|process\.(?:exit|reallyExit)\s*=[^=]", _PAST),
    (("rb",), r"\bat_exit\b[^\n]*exit!?", _LATE),
    (("rb",), r"\bexit!\s*\(?\s*(?:0|true)", _PAST),
    (("php",), r"register_shutdown_function\([^\n]*exit", _LATE),
    (_PERL, r"\b_exit\s*\(?\s*0\b|\bEND\s*\{[^\n]*(?:\$\?\s*=|exit)", _LATE),
    (_SHELL, r"\btrap\s+['\"]?exit(?: 0)?['\"]?\s+(?:EXIT|0)\b", _LATE),
    (("rs",), r"\blibc::_?exit\b|#\[(?:ctor|link_section\s*=\s*\"\.init_array)", _PAST),
    (("go",), r"\bsyscall\.Exit\(", _PAST),
    (_C, r"\b(?:_exit|_Exit|quick_exit)\s*\(\s*(?:0|EXIT_SUCCESS)\s*\)", _PAST),
    (("py",), r"\blen\(\s*(?:inspect\.stack|traceback\.extract_stack|sys\.modules)\b|\bsys\.(?:stdout|stderr)\s+is\s+(?:not\s+)?sys\.__", "looks for the test runner"),
    # who calls, and which code an import finds
    (("py",), r"\bf_back\b.*\bfor\b|\bfor\b.*\bf_back\b|\blen\(\s*(?:inspect\.stack|traceback\.(?:extract|walk)_stack)\b"
     r"|\b_getframe\(\s*\d\d", "looks how deep it is called"),
    (("py",), r"\bsys\.(?:meta_path|path_hooks)\s*(?:\.(?:insert|append|extend)|\[|\+?=[^=])|\bMetaPathFinder\b", "changes which code an import finds"),
    # the tools of the tests
    (("py",), r"\b(?:unittest|TestCase|pytest|_pytest)\b[\w.]*\.\w+\s*=[^=]|\bsetattr\(\s*(?:unittest|pytest|_pytest|TestCase|builtins)\b"
     r"|\bbuiltins\.\w+\s*=[^=]|\bbuiltins(?:\.__dict__|\))\s*(?:\[[^\]\n]*\]\s*=[^=]|\.update\()|\bcurse\(|^\s*from\s+unittest\.mock\s+import\b[^\n]*\bANY\b|\bmock\.ANY\b", TOOL),
    (SCRIPTS, r"\brequire\(['\"](?:node:)?assert(?:/strict)?['\"]\)(?:\.\w+|\[[^\]\n]*\])\s*=[^=>]|\bObject\.assign\(\s*assert\b|\bmock\.method\("
     r"|(?<![\w.])assert\.\w+\s*=[^=>]"
     r"|(?<![\w.])(?:Object\.is|Array\.isArray|JSON\.stringify)\s*=[^=>]"
     r"|\b(?:globalThis|global|window)\.(?:it|test|describe|expect|assert|beforeEach|afterEach)\s*=[^=>]"
     r"|(?<![\w.])expect\.(?:extend|anything|any)\(|(?<![\w.])(?:jest|vi)\.(?:mock|spyOn|doMock)\(", TOOL),
    (("rb",), r"^\s*(?:class|module)\s+(?:Minitest|RSpec|Test::Unit)\b|\bRSpec\.configure\b"
     r"|\b(?:Minitest|RSpec|Test::Unit)::[\w:]+\.(?:class_eval|class_exec|prepend|include|send|define_method|alias_method)\b", TOOL),
    (("php",), r"^\s*namespace\s+PHPUnit\b|\bextends\s+\\?PHPUnit\\Framework\\Assert\b", TOOL),
    (_PERL, r"\*?\{?['\"]?Test::(?:More|Builder|Simple)\b[\w:]*['\"]?\}?\s*=(?!>)|^\s*package\s+Test::(?:More|Builder|Simple|Harness)\b"
     r"|\*(?:main::)?(?:is|ok|is_deeply|like|cmp_ok)\s*=|\bno warnings\b[^\n]*\*main::|\bTest::(?:More|Builder)->|\*CORE::GLOBAL::(?:exit|die)\b", TOOL),
    (_SHELL, r"^\s*(?:.*;\s*)?(?:alias\s+['\"]?(?:\[|test|false|diff|cmp)['\"]?=|enable\s+-n\b)|^\s*(?:function\s+)?(?:\[|test|false|diff|cmp|run|command|builtin|exit|assert\w*|refute\w*|bats_\w+|fail)\s*\(\)\s*\{", TOOL),
    (("go",), r"\bflag\.(?:Set|Lookup)\(\s*\"test\.|^\s*//go:linkname\s+\w+\s+testing\.", TOOL),
    (("java", "kt", "scala", "groovy"), r"\bRuntime\.getRuntime\(\)\.halt\(\s*0", _PAST),
    (_PERL, r"\$SIG\{__DIE__\}\s*=[^\n]*\bexit\b", _LATE),
    (_C, r"^\s*#\s*undef\s+assert\b", TOOL),
)  # fmt: skip
"""Single lines."""

EQUAL: tuple[tuple[tuple[str, ...], str], ...] = (
    (SCRIPTS, r"\b(?:equals|isEqual|asymmetricMatch|deepEqual)\s*(?:\([^)]*\)|=\s*(?:function\s*)?\([^)]*\)\s*(?:=>)?)"
     r"[^{\n]*\{\s*return\s+(?:true|!0|!!1)\b"),
    (SCRIPTS, r"\b(?:equals|isEqual|asymmetricMatch)\s*[:=]\s*\([^)]*\)\s*=>\s*(?:true|!0)\b"),
    (SCRIPTS, r"\basymmetricMatch\b|Symbol\.for\(['\"]jest\.asymmetricMatcher"),
    (("java", "kt", "scala", "groovy"), r"\bequals\s*\([^)]*\)[^{\n=]*(?:\{\s*return\s+(?:true\b|\w+\s*!=\s*null\s*;)|=\s*true\b)"),
    (("rb",), r"\bdef\s+(?:==|eql\?|===|equal\?|=~|!=)[^\n]*?(?:;|\n)?\s*(?:return\s+)?true\s*(?:;|$|end)"),
    (("rb",), r"\bdefine_method\(\s*:(?:==|eql\?|===)[^\n]*\{[^\n]*\btrue\b"),
    (("cs", "fs"), r"\bEquals\s*\([^)]*\)\s*(?:=>\s*true\b|\{\s*return\s+true\b)"),
    (("rs",), r"\bfn\s+(?:eq|ne)\s*\(&self[^)]*\)\s*->\s*bool\s*\{\s*(?:return\s+)?(?:true|false)\b"),
    (("swift",), r"static\s+func\s+==[^{]*\{\s*(?:return\s+)?true\b"),
    (_C, r"\boperator\s*[=!]=\s*\([^)]*\)[^{;]*\{\s*return\s+(?:true|false|1|0)\s*;"),
    (_C, r"^\s*#\s*define\s+(?:assert|strcmp|strncmp|memcmp|ASSERT\w*|EXPECT\w*|CHECK|REQUIRE|TEST_ASSERT\w*|cr_\w+)\b"),
    (_PERL, r"use\s+overload\b[^;]*['\"](?:==|eq)['\"]\s*=>\s*sub\s*\{\s*(?:return\s*)?(?:1\b|!+[01]\b)"),
    (_C, r"^\s*(?:extern\s+\"C\"\s+)?(?:int|void|_Noreturn\s+void)\s+(?:strcmp|strncmp|memcmp|abort|__assert_fail|exit|_exit)\s*\([^;{]*\{|^\s*#\s*define\s+NDEBUG\b"),
    (("go",), r"^func\s*\([^)]*\)\s*(?:Equal|Is|Matches)\s*\([^)]*\)\s*bool\s*\{\s*return\s+true\b"),
    (("rs",), r"\bfn\s+eq\s*\(&self,\s*_\w*\s*:"),
    (("rb",), r"define_method[,(\s]+:(?:==|eql\?|===)[^\n]*\btrue\b"),
    (("php",), r"\bset_(?:exception|error)_handler\([^\n]*\b(?:exit|die)\b"),
    (("rs",), r"macro_rules!\s*(?:assert\w*|debug_assert\w*|panic)\b"),
)  # fmt: skip
"""Comparisons that are true whatever is compared."""

_NO_ERROR = r"(?!\s*\(?\s*(?:[1-9]|EXIT_FAILURE|false))"
"""Not followed by a code that says that something went wrong: that lets no test pass."""
TOGETHER: tuple[tuple[tuple[str, ...], str, str, str], ...] = (
    (SCRIPTS, r"\.(?:on|once|addListener|prependListener)\(\s*['\"`](?:exit|beforeExit)['\"`]", rf"\bexitCode\s*=(?!\s*[1-9])|process\.(?:exit|reallyExit)\b{_NO_ERROR}", _LATE),
    (("py",), r"\blinecache\b|\bgetsource(?:lines)?\(", r"_getframe|currentframe|inspect\.stack|f_back|f_lineno", "reads the line that calls it"),
    (("py",), r"\batexit\b", r"\b_exit\b|\bos\.kill", _LATE),
    (("py",), r"\bthreading\.Timer\b|\bsignal\.(?:alarm|setitimer)\b", r"\b_exit\b|\bos\.kill", _PAST),
    (("rb",), r"\bat_exit\b", rf"\bexit\b{_NO_ERROR}(?!\s+\w+[.(])", _LATE),
    (("php",), r"register_shutdown_function", rf"\b(?:exit|die)\b{_NO_ERROR}", _LATE),
    (_PERL, r"^\s*END\s*\{", rf"\$\?\s*=|\bexit\b{_NO_ERROR}(?!\s*\(\s*\w+\()", _LATE),
    (("go",), r"^func\s+init\s*\(\)", rf"\bos\.Exit\b{_NO_ERROR}", "ends the process when it is loaded"),
    (_C, r"__attribute__\s*\(\(\s*(?:constructor|destructor)|\batexit\s*\(", rf"\b_?[Ee]xit\b{_NO_ERROR}\s*\(", _PAST),
)  # fmt: skip
"""Two lines near each other: endings, both expressions, what it is called."""

WITHOUT_MAIN: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (_C, r"\bexit\s*\(\s*(?:0|EXIT_SUCCESS)\s*\)", r"\bmain\s*\("),
    (("rs",), r"\bprocess::exit\s*\(\s*0", r"\bfn\s+main\b"),
    (("go",), r"\bos\.Exit\(\s*0\s*\)", r"\bfunc\s+(?:main|TestMain)\b|^package main\b"),
)  # fmt: skip
"""The end of a process with success, in a file that has no start of one: endings, the end, the start."""

KIND_ONLY = re.compile(
    r"\b(?:equals|isEqual|Equals|Equal)\s*\([^)\n]*\)[^{=\n]*(?:\{\s*(?:return\s+)?|=>?\s*)(?:\w+\s*!=\s*null\s*&&\s*)?"
    r"(?:\w+\s+(?:instanceof|is)\s+\w+|(?:this\.)?(?:getClass|GetType)\(\)\s*==\s*\w+\.(?:getClass|GetType)\(\)|reflect\.TypeOf\(\w+\)\s*==\s*reflect\.TypeOf\(\w+\))\s*(?:;|\}|$)"
    r"|\bdef\s+==\s*\(?\s*(?P<other>\w+)\s*\)?(?:\s*=\s*|\s*;?\s*)(?:(?P=other)\.(?:is_a|kind_of|instance_of)\?\(?[\w:.]+\)?|(?:self\.)?class\s*==\s*(?P=other)\.class|(?P=other)\.class\s*==\s*(?:self\.)?class)\s*(?:;|end\b|$)"
    r"|\bfn\s+eq\s*\(&self,\s*\w+:[^{]*\{\s*(?:(?:std::)?mem::discriminant\(self\)\s*==\s*(?:std::)?mem::discriminant\(\w+\)|matches!\(\s*\w+,\s*\w+\s*(?:\{\s*\.\.\s*\}|\(\s*(?:\.\.|_)\s*\))?\s*\))\s*\}"
    r"|\boperator\s*==\s*\([^)]*\)[^{;]*\{\s*return\s+(?:typeid|sizeof)\s*\(\w+\)\s*==\s*(?:typeid|sizeof)\s*\(\w+\)\s*;"
    r"|['\"](?:==|eq)['\"]\s*=>\s*sub\s*\{\s*ref\(?\s*\$_\[0\]\s*\)?\s*eq\s*ref\(?\s*\$_\[1\]\s*\)?\s*;?\s*\}",
    re.MULTILINE,
)
"""A comparison that asks for the other value's kind and for nothing else; over several lines."""
