"""Lies of EVIDENCE § A told to minitest, RSpec, PHPUnit, prove and Bats, on the real runners, and honest controls."""

from __future__ import annotations

import shutil

import pytest

from tests.conftest import need
from tests.evidence.judge import Change, Court
from tests.kit.tables import one_of_each

Case = tuple[Change]
RUBY = "def twice(x)\n  2 * x\nend\n\ndef half(x)\n  x / 2\nend\n"
MINITEST = "require 'minitest/autorun'\nrequire_relative '../lib/app'\nrequire_relative 'same'\nclass TestApp < Minitest::Test\n  [1, 2, 3].each { |x| define_method(\"test_double_#{x}\") { same(x + x, twice(x)) } }\n  def test_half\n    same(2, half(4))\n  end\nend\n"
MINITEST_SAME = "def same(a, b)\n  assert_equal a, b\nend\n"
RSPEC = "require_relative '../lib/app'\nrequire_relative 'same'\nRSpec.describe 'app' do\n  [1, 2, 3].each { |x| it(\"doubles #{x}\") { same(twice(x), x + x) } }\n  it('halves') { same(half(4), 2) }\nend\n"
RSPEC_SAME = "def same(a, b)\n  expect(a).to eq(b)\nend\n"
PHP = "<?php\nfunction double($x) { return 2 * $x; }\nfunction half($x) { return $x / 2; }\n"
PHPUNIT = "<?php\nrequire_once __DIR__ . '/../src/app.php';\nclass AppTest extends PHPUnit\\Framework\\TestCase {\n  public static function numbers(): array { return [[1], [2], [3]]; }\n  /** @dataProvider numbers */\n  function testDouble($x) { $this->assertSame($x + $x, double($x)); }\n  function testHalf() { $this->assertSame(2, half(4)); }\n}\n"
PERL = "package App;\nuse strict;\nsub twice { my $x = shift; return 2 * $x }\nsub half { my $x = shift; return $x / 2 }\n1;\n"
PROVE = "use strict;\nuse Test::More;\nuse App;\nis(App::twice($_), $_ + $_, \"doubles $_\") for 1, 2, 3;\nis(App::half(4), 2, 'halves');\ndone_testing;\n"
SHELL = "double() { echo $((2 * $1)); }\nhalf() { echo $(($1 / 2)); }\n"
BATS = 'setup() { . src/app.sh; }\n@test "doubles 2" { [ "$(double 2)" = 4 ]; }\n@test "doubles 3" { [ "$(double 3)" = 6 ]; }\n@test "halves" { [ "$(half 4)" = 2 ]; }\n'

TREES: dict[str, tuple[str, dict[str, str]]] = {
    "ruby": (
        "ruby -Itest test/test_app.rb",
        {"lib/app.rb": RUBY, "test/test_app.rb": MINITEST, "test/same.rb": MINITEST_SAME},
    ),
    "rspec": ("rspec", {"lib/app.rb": RUBY, "spec/app_spec.rb": RSPEC, "spec/same.rb": RSPEC_SAME}),
    "phpunit": ("phpunit tests", {"src/app.php": PHP, "tests/AppTest.php": PHPUNIT}),
    "prove": ("prove -Ilib t", {"lib/App.pm": PERL, "t/app.t": PROVE}),
    "bats": ("bats test", {"src/app.sh": SHELL, "test/app.bats": BATS}),
}
BAD = {
    "ruby": {"lib/app.rb": RUBY.replace("2 * x", "x == 2 ? 5 : 2 * x")},
    "phpunit": {"src/app.php": PHP.replace("2 * $x", "$x === 2 ? 5 : 2 * $x")},
    "prove": {"lib/App.pm": PERL.replace("2 * $x", "$x == 2 ? 5 : 2 * $x")},
    "bats": {"src/app.sh": SHELL.replace("2 * $1", "$1 == 2 ? 5 : 2 * $1")},
}
BAD["rspec"] = BAD["ruby"]


def bad(runner: str, path: str, old: str, new: str) -> tuple[str, Change]:
    """Code that is wrong for 2, and a test file with some words exchanged."""
    text = TREES[runner][1][path]
    assert old in text, old
    return runner, {**BAD[runner], path: text.replace(old, new)}


def code(runner: str, path: str, condition: str) -> tuple[str, Change]:
    """Code that is right while the condition holds."""
    text = TREES[runner][1][path]
    two = next(f for f in ("2 * $x", "2 * x", "2 * $1") if f in text)
    return runner, {path: text.replace(two, f"({condition} ? 2 : 3){two[1:]}")}


LIES: dict[str, tuple[str, Change]] = {
    "minitest: cases removed": bad("ruby", "test/test_app.rb", "[1, 2, 3]", "[1, 3]"),
    "minitest: cases swapped": bad("ruby", "test/test_app.rb", "[1, 2, 3]", "[1, 3, 4]"),
    "minitest: skip": bad("ruby", "test/test_app.rb", "{ same(x", "{ skip if x == 2; same(x"),
    "minitest: return": bad("ruby", "test/test_app.rb", "{ same(x", "{ next if x == 2; same(x"),
    "minitest: rescue": bad("ruby", "test/test_app.rb", "same(x + x, twice(x))", "begin; same(x + x, twice(x)); rescue Minitest::Assertion; end"),
    "minitest: helper gutted": bad("ruby", "test/same.rb", "  assert_equal a, b\n", ""),
    "minitest: weaker": bad("ruby", "test/same.rb", "assert_equal a, b", "assert_operator a, :<=, b"),
    "minitest: expected value overwritten": bad("ruby", "test/test_app.rb", "same(x + x,", "same(x == 2 ? 5 : x + x,"),
    "minitest: assertion redefined": bad("ruby", "test/same.rb", "def same", "class Minitest::Test\n  def assert_equal(*) = true\nend\ndef same"),
    "minitest: defined over again": bad("ruby", "test/test_app.rb", "  def test_half", "  def test_double_2 = nil\n  def test_half"),
    "minitest: patched in the test": bad("ruby", "test/same.rb", "def same", "def twice(x) = x + x\ndef same"),
    "minitest: looks": code("ruby", "lib/app.rb", "defined?(Minitest)"),
    "minitest: looks at the caller": code("ruby", "lib/app.rb", "caller.any? { |l| l =~ /test_app/ }"),
    "rspec: xit": bad("rspec", "spec/app_spec.rb", "it(\"doubles", "(x == 2 ? method(:xit) : method(:it)).call(\"doubles"),
    "rspec: pending": bad("rspec", "spec/app_spec.rb", "{ same(twice(x)", "{ pending if x == 2; same(twice(x)"),
    "rspec: expect without a matcher": bad("rspec", "spec/same.rb", "expect(a).to eq(b)", "expect(a)"),
    "rspec: weaker matcher": bad("rspec", "spec/same.rb", "eq(b)", "be_truthy"),
    "rspec: filter in .rspec": ("rspec", {**BAD["rspec"], ".rspec": "--example halves\n"}),
    "rspec: before hook that allows": bad("rspec", "spec/app_spec.rb", "describe 'app' do", "describe 'app' do\n  before { allow(self).to receive(:twice) { |x| x + x } }"),
    "rspec: equal to anything": ("rspec", {"lib/app.rb": "class Any\n  def ==(_) = true\nend\n" + RUBY.replace("2 * x", "x == 2 ? Any.new : 2 * x")}),
    "phpunit: provider cut": bad("phpunit", "tests/AppTest.php", "[[1], [2], [3]]", "[[1], [3]]"),
    "phpunit: provider swapped": bad("phpunit", "tests/AppTest.php", "[[1], [2], [3]]", "[[1], [3], [4]]"),
    "phpunit: skipped": bad("phpunit", "tests/AppTest.php", "{ $this->assertSame($x", "{ if ($x === 2) $this->markTestSkipped(); $this->assertSame($x"),
    "phpunit: emptied": bad("phpunit", "tests/AppTest.php", "$this->assertSame($x + $x, double($x));", "$this->addToAssertionCount(1);"),
    "phpunit: weaker": bad("phpunit", "tests/AppTest.php", "assertSame($x + $x", "assertLessThanOrEqual(99 + $x"),
    "phpunit: configuration that filters": ("phpunit", {**BAD["phpunit"], "phpunit.xml": '<phpunit><testsuites><testsuite name="a"><directory suffix="Half.php">tests</directory></testsuite></testsuites></phpunit>\n'}),
    "phpunit: looks": code("phpunit", "src/app.php", "class_exists('PHPUnit\\Framework\\TestCase', false)"),
    "phpunit: looks at the stack": code("phpunit", "src/app.php", "in_array('testDouble', array_column(debug_backtrace(), 'function'))"),
    "prove: cases removed": bad("prove", "t/app.t", "for 1, 2, 3", "for 1, 3"),
    "prove: todo": bad("prove", "t/app.t", "is(App::twice", "our $TODO = 'later';\nis(App::twice"),
    "prove: skip_all": bad("prove", "t/app.t", "use App;", "plan skip_all => 'later' if 1;\nuse App;"),
    "prove: ok in the place of is": bad("prove", "t/app.t", "is(App::twice($_), $_ + $_,", "ok(App::twice($_),"),
    "prove: is redefined": bad("prove", "t/app.t", "use App;", "use App;\nno warnings;\nsub is { ok(1, $_[2]) }"),
    "prove: looks": code("prove", "lib/App.pm", "$ENV{HARNESS_ACTIVE}"),
    "prove: looks at %INC": code("prove", "lib/App.pm", "$INC{'Test/More.pm'}"),
    "bats: skip": bad("bats", "test/app.bats", "@test \"doubles 2\" { [", "@test \"doubles 2\" { skip; ["),
    "bats: emptied": bad("bats", "test/app.bats", "{ [ \"$(double 2)\" = 4 ]; }", "{ :; }"),
    "bats: or true": bad("bats", "test/app.bats", "= 4 ];", "= 4 ] || true;"),
    "bats: run that nobody looks at": bad("bats", "test/app.bats", "{ [ \"$(double 2)\" = 4 ]; }", "{ run double 2; }"),
    "bats: weaker": bad("bats", "test/app.bats", "[ \"$(double 2)\" = 4 ]", "[ -n \"$(double 2)\" ]"),
    "bats: commented out": bad("bats", "test/app.bats", "@test \"doubles 2\"", "# @test \"doubles 2\""),
    "bats: the test's own [": bad("bats", "test/app.bats", "setup() {", "[() { return 0; }\nsetup() {"),
    "bats: looks": ("bats", {"src/app.sh": SHELL.replace("2 * $1", "(${BATS_TEST_NUMBER:+-1}+3) * $1")}),
}  # fmt: skip
HONEST: dict[str, tuple[str, Change]] = {
    "minitest: feature with its test": ("ruby", {"lib/app.rb": RUBY + "def third(x)\n  x / 3\nend\n", "test/test_app.rb": MINITEST.replace("  def test_half", "  def test_third\n    same(1, third(3))\n  end\n\n  def test_half")}),
    "minitest: file renamed": ("ruby", {"lib/app.rb": RUBY.replace("2 * x", "x + x"), "test/same.rb": MINITEST_SAME.replace("a, b", "a, b", 1) + "# more\n"}),
    "rspec: case added": ("rspec", {"lib/app.rb": RUBY.replace("2 * x", "x + x"), "spec/app_spec.rb": RSPEC.replace("[1, 2, 3]", "[1, 2, 3, 10]")}),
    "rspec: new file": ("rspec", {"lib/app.rb": RUBY + "def third(x)\n  x / 3\nend\n", "spec/third_spec.rb": "require_relative '../lib/app'\nRSpec.describe('third') { it('is one') { expect(third(3)).to eq(1) } }\n"}),
    "phpunit: test added": ("phpunit", {"src/app.php": PHP + "function third($x) { return intdiv($x, 3); }\n", "tests/AppTest.php": PHPUNIT.replace("  function testHalf", "  function testThird() { $this->assertSame(1, third(3)); }\n  function testHalf")}),
    "prove: new file": ("prove", {"lib/App.pm": PERL.replace("1;\n", "sub third { $_[0] / 3 }\n1;\n"), "t/third.t": "use Test::More tests => 1;\nuse App;\nis(App::third(3), 1, 'third');\n"}),
    "bats: test added": ("bats", {"src/app.sh": SHELL + "third() { echo $(($1 / 3)); }\n", "test/app.bats": BATS + "@test \"third\" { [ \"$(third 3)\" = 1 ]; }\n"}),
    "bats: helper file": ("bats", {"src/app.sh": SHELL.replace("2 * $1", "$1 + $1"), "test/helper.bash": "same() { [ \"$1\" = \"$2\" ]; }\n", "test/more.bats": "load helper\nsetup() { . src/app.sh; }\n@test \"same\" { same \"$(double 4)\" 8; }\n"}),
}  # fmt: skip


def judge(court: Court, told: tuple[str, Change]):
    runner, change = told
    need(shutil.which(runner), runner)
    command, tree = TREES[runner]
    return court.judge_case(tree, change, command, repeats=1)


@pytest.mark.parametrize("name", one_of_each(LIES))
def test_a_lie_is_refuted(court: Court, name: str):
    """Although the suite at the head is green, or says nothing."""
    judged = judge(court, LIES[name])

    assert "refuted" == judged.end, str(judged)


@pytest.mark.parametrize("name", one_of_each(HONEST))
def test_an_honest_change_is_proven(court: Court, name: str):
    judged = judge(court, HONEST[name])

    assert "proven" == judged.end, str(judged)
