"""Tests that become the rows of one table, and groups that are taken apart, are not lost; what does less is."""

from __future__ import annotations

import shutil

import pytest

from orchestrator_action.verify.merged import became_rows
from orchestrator_action.verify.renamed import block_with_rows, text_of_test
from tests.conftest import need
from tests.evidence.judge import Court
from tests.kit.tables import few

GO = "package a\n\nfunc Double(x int) int { return 2 * x }\n"
BEGIN = 'package a\n\nimport "testing"\n'
TESTS = BEGIN + "".join(
    f'\nfunc Test{name}(t *testing.T) {{\n\tif got := Double({x}); got != {y} {{\n'
    f'\t\tt.Errorf("Double({x}) = %d, want {y}", got)\n\t}}\n}}\n'
    for name, x, y in (("One", 1, 2), ("Two", 2, 4), ("Five", 5, 10))
)  # fmt: skip
TABLE = f"""{BEGIN}
func TestDouble(t *testing.T) {{
	tests := []struct {{
		name string
		in   int
		want int
	}}{{
		{{"one", 1, 2}},
		{{"two", 2, 4}},
		{{"five", 5, 10}},
	}}
	for _, tt := range tests {{
		t.Run(tt.name, func(t *testing.T) {{
			if got := Double(tt.in); got != tt.want {{
				t.Errorf("Double(%d) = %d, want %d", tt.in, got, tt.want)
			}}
		}})
	}}
}}
"""
NAMES = ("TestOne", "TestTwo", "TestFive", "TestDouble")
LESS = {
    "nothing": ("", "", True),
    "side by side": ("func(t *testing.T) {\n", "func(t *testing.T) {\n\t\t\tt.Parallel()\n", True),
    "a row more": ('{"two", 2, 4}', '{"two", 2, 4},\n\t\t{"three", 3, 6}', True),
    "a weaker comparison": ("got != tt.want", "got < 0", False),
    "a row less": ('\t\t{"five", 5, 10},\n', "", False),
    "another value": ("5, 10}", "5, 11}", False),
    "a skip": ("\t\tt.Run(", "\t\tt.Skip()\n\t\tt.Run(", False),
    "never": ("got != tt.want", "got != tt.want && false", False),
    "the answer is set": ("\t\t\tif got", "\t\t\ttt.want = Double(tt.in)\n\t\t\tif got", False),
    "rows left out": ("\t\tt.Run(", "\t\tif tt.in > 1 {\n\t\t\tcontinue\n\t\t}\n\t\tt.Run(", False),
    "the first row": ("range tests", "range tests[:1]", False),
    "the code's own answer": ('"two", 2, 4', '"two", 2, Double(2)', False),
    "only printed": ("t.Errorf", "t.Logf", False),
    "an end": ("range tests {", "range tests {\n\t\tbreak", False),
}


@pytest.mark.parametrize("name", LESS)
def test_tests_are_rows_of_a_table_that_asks_all_that_they_asked(name: str):
    """Each of their calls and values, and no way past them."""
    old, new, rows = LESS[name]
    assert old in TABLE
    table = block_with_rows("example.com/a.TestDouble/one", TABLE.replace(old, new, 1))

    assert rows == became_rows([text_of_test(f"example.com/a.{n}", TESTS) for n in NAMES[:3]], table, NAMES)


NODE = """const { test } = require('node:test');
const assert = require('node:assert');
const { double } = require('./app.js');
"""
SINGLE = NODE + "".join(
    f"\ntest('doubles {name}', () => {{\n  assert.strictEqual(double({x}), {y});\n}});\n"
    for name, x, y in (("one", 1, 2), ("two", 2, 4), ("five", 5, 10))
)
LOOP = f"""{NODE}
for (const [x, y] of [[1, 2], [2, 4], [5, 10]]) {{
  test(`double(${{x}}) is ${{y}}`, () => {{
    assert.strictEqual(double(x), y);
  }});
}}
"""
NAMED_TABLE = LOOP.replace("of [[1, 2], [2, 4], [5, 10]])", "of cases)").replace(
    "\nfor", "\nconst cases = [\n  [1, 2],\n  [2, 4],\n  [5, 10],\n];\n\nfor", 1
)


@pytest.mark.parametrize("text", [LOOP, NAMED_TABLE], ids=["in the loop", "beside it"])
def test_the_rows_of_a_loop_are_those_of_its_table(text: str):
    """Wherever it stands."""
    names = ("doubles one", "doubles two", "doubles five")
    olds = [text_of_test(f"app.test.js::{name}", SINGLE) for name in names]

    for less in ("", "[5, 10]"):
        table = block_with_rows("app.test.js::double(1) is 2", text.replace(less, "", 1) if less else text)
        assert became_rows(olds, table, names) == (not less), table


GROUP = """RSpec.shared_examples 'a number' do
  it 'is big' do
    expect(subject).to be > 2
  end

  it 'is even' do
    expect(subject % 2).to eq(0)
  end
end
"""
IN_GROUPS = f"require 'app'\n\n{GROUP}" + "".join(
    f"\nRSpec.describe '{name}' do\n  subject {{ {name} }}\n\n  it_behaves_like 'a number'\nend\n"
    for name in ("four", "six")
)
APART = "require 'app'\n" + "".join(
    f"\nRSpec.describe '{name}' do\n  subject {{ {name} }}\n\n" + GROUP.partition("do\n")[2]
    for name in ("four", "six")
)
GO_BASE = {"go.mod": "module example.com/a\n\ngo 1.18\n", "a.go": GO, "a_test.go": TESTS}
NODE_BASE = {
    "package.json": '{"name": "a", "scripts": {"test": "node --test"}}\n',
    "app.js": "exports.double = (x) => 2 * x;\n",
    "app.test.js": SINGLE,
}
RUBY_BASE = {"lib/app.rb": "def four = 4\ndef six = 6\n", "spec/app_spec.rb": IN_GROUPS}
CHANGES = {
    "ruby: a group of examples taken apart": (RUBY_BASE, "spec/app_spec.rb", APART, "proven"),
    "go: a table": (GO_BASE, "a_test.go", TABLE, "proven"),
    "go: a table with a row less": (
        GO_BASE,
        "a_test.go",
        TABLE.replace('\t\t{"five", 5, 10},\n', ""),
        "refuted",
    ),
    "node: a loop": (NODE_BASE, "app.test.js", LOOP, "proven"),
    "node: a loop over less": (NODE_BASE, "app.test.js", LOOP.replace("10]]", "10]].slice(1)"), "refuted"),
    "ruby: examples made a group": (
        {**RUBY_BASE, "spec/app_spec.rb": APART},
        "spec/app_spec.rb",
        IN_GROUPS,
        "proven",
    ),
    "ruby: a group taken apart, weaker": (
        RUBY_BASE,
        "spec/app_spec.rb",
        APART.replace("> 2", "> 1"),
        "refuted",
    ),
}
COMMANDS = {"ruby": ("rspec", "lib/app.rb"), "go": ("go test ./...", "a.go"), "node": ("npm test", "app.js")}


@pytest.mark.parametrize("name", few(CHANGES, 1))
def test_such_a_change_ends_as_it_does(court: Court, name: str):
    """By the real runner, without a word of the agent."""
    base, path, text, end = CHANGES[name]
    command, source = COMMANDS[name.partition(":")[0]]
    program = command.partition(" ")[0]
    need(shutil.which(program), program)

    judged = court.judge_case(base, {path: text, source: base[source] + "\n"}, command, repeats=1)

    assert end == judged.end, str(judged)
    assert end == "proven" or {"nothing-lost"} == judged.refuted, str(judged)
