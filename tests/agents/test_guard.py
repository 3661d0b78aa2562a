"""What an agent's tools are refused: the commands meant, and not the words that mention them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_action.agents.claude.shell import commands
from orchestrator_action.agents.claude.tool_guard import (
    CONFIG,
    GIT_FILES,
    NO_CREDENTIALS,
    NO_VERIFY,
    ONE_OFF,
    PUSH,
    REMOTE,
    WORKTREE,
    pre_tool,
    shell,
)

PUSHES = [
    "git push",
    "git push origin HEAD",
    "cd sub && git push",
    "true; git push&",
    "(git push)",
    "{ git push; }",
    "if true; then git push; fi",
    "! git push",
    "git add -A && git commit -m x && git push -f",
    "git -C /somewhere push",
    "git --no-pager push",
    "git --git-dir=/x/.git --work-tree /x push",
    "git -c user.name=x push",
    "/usr/bin/git push",
    "/usr/lib/git-core/git-push origin",
    "GIT_TRACE=1 git push",
    "env -i PATH=/bin git push",
    "sudo -u me git push",
    "timeout 5 git push",
    "nohup git push > /dev/null 2>&1 &",
    "echo main | xargs git push origin",
    "find . -maxdepth 0 -exec git push ;",
    "bash -c 'git push'",
    'sh -ec "git push"',
    "bash -c 'sh -c \"git push\"'",
    "eval git push",
    "eval 'git push'",
    "echo $(git push)",
    'echo "$(git push)"',
    "echo `git push`",
    "diff <(git push) x",
    'x=$(git push 2>&1); echo "$x"',
    "bash <<EOF\ngit push\nEOF",
    "bash -s <<'EOF'\ncd x\ngit push\nEOF",
    "sh <<< 'git push'",
    "echo 'git push' | sh",
    "printf 'git push\\n' | bash",
    "cat <<EOF | sh\ngit push\nEOF",
    "git \\\n  push origin",
    "git 'push'",
    "g\"i\"t pu'sh'",
    "C=push; git $C",
    "C='git push'; $C",
    'G=git; "$G" push',
    "git commit -m 'a\nb' && git push",
    "git subtree push --prefix=x origin main",
    "git lfs push origin main",
    "git send-pack x",
    "git svn dcommit",
    "git submodule foreach git push",
    "git submodule foreach 'git push'",
    "git rebase --exec 'git push' HEAD~1",
    "git rebase -x 'git push' HEAD~1",
    "git bisect run git push",
    "trap 'git push' EXIT",
    "python3 -c \"import subprocess; subprocess.run(['git', 'push'])\"",
    "python3 <<EOF\nimport os\nos.system('git push origin')\nEOF",
    "node -e \"require('child_process').execSync('git -C . push')\"",
    "while read b; do git push origin $b; done < branches",
    "cat <<EOF\ntext\nEOF\ngit push",
    "ls # harmless\ngit push",
    "git commit -m x\r\ngit push",
]
OTHERS = [
    ("git remote add evil https://x", REMOTE),
    ("git remote set-url origin https://x", REMOTE),
    ("git remote set-url --push origin https://x", REMOTE),
    ("git remote -v rename a b", REMOTE),
    ("git remote remove origin", REMOTE),
    ("git remote rm origin", REMOTE),
    ("git branch -u origin/x", REMOTE),
    ("git branch --set-upstream-to=origin/x", REMOTE),
    ("git config remote.origin.url https://x", CONFIG),
    ("git config --add remote.origin.pushurl https://x", CONFIG),
    ("git config url.https://x/.insteadOf https://y/", CONFIG),
    ("git config core.hooksPath /dev/null", CONFIG),
    ("git config --local credential.helper store", CONFIG),
    ("git config --global user.name x", CONFIG),
    ("git config --unset core.hooksPath", CONFIG),
    ("git config set core.sshCommand x", CONFIG),
    ("git config --edit", CONFIG),
    ("git config -f .git/config a.b c", CONFIG),
    ("git -c alias.p=push p", ONE_OFF),
    ("git -c remote.origin.pushurl=x fetch", ONE_OFF),
    ("git -c core.sshCommand=x fetch", ONE_OFF),
    ("git --config-env=core.sshCommand=X fetch", ONE_OFF),
    ("GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=alias.p GIT_CONFIG_VALUE_0=push git p", ONE_OFF),
    ("export GIT_CONFIG_PARAMETERS=\"'core.hooksPath=/dev/null'\"", ONE_OFF),
    ("env GIT_SSH_COMMAND=x git fetch", ONE_OFF),
    ("git maintenance start", CONFIG),
    ("git commit --no-verify -m x", NO_VERIFY),
    ("git commit -m x --no-verify", NO_VERIFY),
    ("git commit --no-veri -m x", NO_VERIFY),
    ("git commit -n -m x", NO_VERIFY),
    ("git commit -nm x", NO_VERIFY),
    ("git commit -anm x", NO_VERIFY),
    ("git commit -am x -n", NO_VERIFY),
    ("git merge --no-verify x", NO_VERIFY),
    ("git rebase --no-verify main", NO_VERIFY),
    ("git cherry-pick x && git am --no-verify y", NO_VERIFY),
    ("git -c core.hooksPath=/dev/null commit -m x", NO_VERIFY),
    ("git -c core.hookspath= commit -m x", NO_VERIFY),
    ("HUSKY=0 git commit -m x", NO_VERIFY),
    ("SKIP=tests git commit -m x", NO_VERIFY),
    ("env SKIP=tests git commit -m x", NO_VERIFY),
    ("git worktree add ../x", WORKTREE),
    ("git worktree remove --force .", WORKTREE),
    ("git worktree prune", WORKTREE),
    ("git credential fill", NO_CREDENTIALS),
    ("echo x > .git/hooks/pre-push", GIT_FILES),
    ("echo x >> .git/config", GIT_FILES),
    ("rm -f .git/hooks/pre-commit", GIT_FILES),
    ("tee .git/config < x", GIT_FILES),
    ("sed -i s/a/b/ ./.git/config", GIT_FILES),
    ('chmod -x "$(git rev-parse --git-common-dir)/hooks/pre-commit"', GIT_FILES),
    ("mv x $(git rev-parse --git-dir)/hooks/pre-push", GIT_FILES),
]
ALLOWED = [
    "",
    "ls",
    "git status",
    "git pull --rebase",
    "git fetch origin",
    "git commit -m 'never git push'",
    "git commit -m 'document --no-verify'",
    "git commit -m --no-verify",
    'git commit -m "git push $(date)"',
    "git commit -F - <<'EOF'\nExplain git push\n\ngit push --no-verify is refused\nEOF",
    "cat > docs.md <<EOF\nRun git push\nEOF",
    "cat <<-'END' > x\n\tgit push\n\tEND\nls",
    "grep -rn 'git push' .",
    "grep push .git/config",
    'rg "git push" --no-verify-ssl',
    "echo git push",
    "echo 'git push' > notes.txt",
    "# git push",
    "ls # git push",
    "git log --grep=push",
    "git log -- push",
    "git show HEAD:push.py",
    "git stash push -m x",
    "git stash push",
    "git add push && git commit -m push",
    "git checkout -b push",
    "git commit -uno -m x",
    "git commit -mn",
    "git commit -m -n",
    "git commit --amend --no-edit",
    "git commit -- --no-verify",
    "git merge --no-verify-signatures x",
    "git clean -n",
    "git log -n 3",
    "git merge -n x",
    "git remote",
    "git remote -v",
    "git remote show origin",
    "git remote get-url origin",
    "git config user.name",
    "git config --get remote.origin.url",
    "git config --get-all remote.origin.url",
    "git config --list --show-origin",
    "git config -l",
    "git config get user.name",
    "git -c user.name=x commit -m y",
    "git -c color.ui=never diff",
    "git worktree list",
    "git branch -a",
    "git bisect run pytest",
    "cat .git/config",
    "ls .git/hooks",
    "echo x > .gitignore",
    "rm -rf .github/old",
    "python -m pytest -k push",
    "npm run push-notifications",
    "docker push x",
    "gitpush",
    "orchestrator-phase done pull-request --note 'git push'",
    "bash -c 'echo pushed'",
    "find . -name '*.py' -exec grep push {} +",
    "HUSKY=0 npm ci",
    "echo $((1 + 2)) && git status",
    "case $x in push) git status;; esac",
    'for f in *.py; do git add "$f"; done',
]


@pytest.mark.parametrize("command", PUSHES)
def test_a_push_is_refused_however_it_is_written(command: str) -> None:
    assert PUSH == shell(command)


@pytest.mark.parametrize(("command", "why"), OTHERS)
def test_what_reaches_beyond_the_task_is_refused_with_its_reason(command: str, why: str) -> None:
    assert why == shell(command)


@pytest.mark.parametrize("command", ALLOWED)
def test_ordinary_work_is_not_hindered(command: str) -> None:
    """A message, a file, a search or a branch may bear any word."""
    assert "" == shell(command)


@pytest.fixture
def worktree(tmp_path):
    """A linked worktree as git makes it: `.git` is a file; one link leads out, one stays in."""
    tree = tmp_path / "a tree"
    (tree / "src").mkdir(parents=True)
    (tree / ".git").write_text("gitdir: elsewhere")
    (tree / "out").symlink_to(tmp_path)
    (tree / "in").symlink_to(tree / "src")
    return tree


def written(tree, path, tool="Write", key="file_path", cwd=None, notes=""):
    return pre_tool(
        {"tool_name": tool, "tool_input": {key: str(path)}, "cwd": str(cwd or tree)}, str(tree), notes
    )


def test_writes_stay_inside_the_worktree(worktree):
    inside = [
        worktree / "a.py",
        worktree / "src" / "new" / "b.py",
        "src/c.py",
        worktree / "in" / "d.py",
        worktree / ".github" / "x",
    ]
    outside = [
        "/etc/passwd",
        "../x",
        worktree.parent / "a tree2" / "x",
        worktree / ".." / "x",
        worktree / "out" / "x",
        "~/.bashrc",
        worktree,
    ]

    assert [""] * len(inside) == [written(worktree, p) for p in inside]
    assert [] == [p for p in outside if "outside the worktree" not in written(worktree, p)]


@pytest.mark.parametrize(
    ("tool", "key"), [("Edit", "file_path"), ("MultiEdit", "file_path"), ("NotebookEdit", "notebook_path")]
)
def test_every_tool_that_writes_is_held_to_it(worktree, tool, key):
    assert "" == written(worktree, "a.ipynb", tool, key)
    assert written(worktree, "/tmp/a.ipynb", tool, key)


def test_a_relative_path_counts_from_where_the_agent_is(worktree):
    assert "" == written(worktree, "../a.py", cwd=worktree / "src")
    assert written(worktree, "../../a.py", cwd=worktree / "src")


def test_notes_have_a_place_of_their_own(worktree, tmp_path):
    notes = tmp_path / "notes"

    assert "" == written(worktree, notes / "plan.md", notes=str(notes))
    assert written(worktree, notes / ".." / "x", notes=str(notes))


def test_gits_own_files_are_not_the_tasks(worktree):
    assert GIT_FILES == written(worktree, worktree / ".git")
    assert GIT_FILES == written(worktree, worktree / ".git" / "hooks" / "pre-push")


def test_a_session_stays_in_its_worktree(worktree):
    assert WORKTREE == pre_tool({"tool_name": "EnterWorktree", "tool_input": {}}, str(worktree))


@pytest.mark.parametrize("tool", ["Bash", "PowerShell", "Monitor"])
def test_every_tool_that_takes_a_command_is_held_to_it(tool, worktree):
    assert PUSH == pre_tool({"tool_name": tool, "tool_input": {"command": "git push"}}, str(worktree))


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"tool_name": "Bash"},
        {"tool_name": "Bash", "tool_input": None},
        {"tool_name": "Write", "tool_input": {}},
        {"tool_name": 3, "tool_input": []},
    ],
)
def test_an_event_that_says_nothing_is_refused_nothing(event, worktree):
    assert "" == pre_tool(event, str(worktree))


PIECES = st.lists(
    st.sampled_from(
        [
            "git",
            "push",
            " ",
            "\n",
            ";",
            "'",
            '"',
            "$(",
            ")",
            "`",
            "<<EOF",
            "EOF",
            "|",
            "&",
            "\\",
            "${x}",
            "x=",
            "-c",
            "bash",
            "#",
            ">",
            "<",
            "0",
        ]
    ),
    max_size=25,
).map("".join)


@given(PIECES | st.text(max_size=60))
def test_no_text_whatever_stops_the_parser(text):
    """It always ends with an answer: a hook that fails would refuse everything."""
    assert isinstance(shell(text), str)


@given(st.text(max_size=40))
def test_a_quoted_text_is_one_word(text):
    quoted = "'" + text.replace("'", "") + "'"
    [command] = commands(f"echo {quoted} last")

    assert ["echo", text.replace("'", "").replace("\\\r\n", "").replace("\\\n", ""), "last"] == command.words
