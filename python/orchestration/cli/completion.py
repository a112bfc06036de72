"""The verb ``completion``, and what a shell is offered in the place of an argument.

Click speaks with the shells; here is what it cannot know: a verb may stand where SOURCE does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .console import Console, discard_output, engine_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from click.shell_completion import CompletionItem, ShellComplete

    from orchestration.watching import Orchestration

PROGRAM = "parallel-orchestrate"

VARIABLE = "_PARALLEL_ORCHESTRATE_COMPLETE"
"""How the script of a shell asks: ``bash_complete``."""

EPILOG = """\b
Set it up, for new shells:
  bash   echo 'eval "$(parallel-orchestrate completion bash)"' >>~/.bashrc
  zsh    echo 'eval "$(parallel-orchestrate completion zsh)"' >>~/.zshrc
  fish   mkdir -p ~/.config/fish/completions
         parallel-orchestrate completion fish >~/.config/fish/completions/parallel-orchestrate.fish
"""

BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' line files=()
    COMPREPLY=()
    for line in $(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \\
        %(complete_var)s=bash_complete "$1"); do
        case $line in
            plain,*) COMPREPLY+=("${line#*,}") ;;
            dir,*) files+=($(compgen -d -- "${line#*,}")) ;;
            file,*) files+=($(compgen -f -- "${line#*,}")) ;;
        esac
    done
    if ((${#files[@]})); then
        compopt -o filenames
        COMPREPLY+=("${files[@]}")
    fi
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
"""Click's own offers either files or words, and so none of the verbs where a plan may stand."""

ZSH = """\
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }"""
"""What zsh lacks before it was told to complete anything at all."""

ZSH_PATHS = "compset -P 1 '--*='; _path_files"
"""A path may stand behind ``--name=``, and is looked for without that."""


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(*, shell: str) -> int:
    """Print what a shell needs to complete verbs, options, issues and agents."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    kind = get_completion_class(shell)
    if kind is None:  # click knows all three
        return 1
    asker = kind(command, {}, PROGRAM, VARIABLE)
    script = BASH if shell == "bash" else kind.source_template
    if shell == "zsh":  # its first line names the program
        script = script.replace("\n", f"\n{ZSH}\n", 1).replace("_path_files", ZSH_PATHS)
    console = Console("text")
    try:
        console.lines([script % asker.source_vars()])
    except BrokenPipeError:  # whoever read it has seen enough
        console.abandon()
    except engine_error() as error:
        return console.refuse(error)
    return 0


def complete(asked: str, default: click.Command, verbs: Mapping[str, click.Command]) -> int:
    """Answers a shell. Returns the exit code.

    Args:
        asked: The value of ``VARIABLE``.
        default: The command without a verb.
        verbs: The others.
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    shell, _, what = asked.partition("_")
    kind = get_completion_class(shell)
    if kind is None or what != "complete":
        return 1
    asker = kind(default, {}, PROGRAM, VARIABLE)
    args, incomplete = asker.get_completion_args()
    try:
        for item in _items(asker, _joined(args), incomplete, verbs):
            if shell != "bash":  # an offer replaces the whole word, of which click sees a part
                item.value = _name_of(incomplete) + item.value
            click.echo(asker.format_completion(item))
    except BrokenPipeError:  # the shell has seen enough
        discard_output()
    return 0


def _joined(words: list[str]) -> list[str]:
    """The words without the ``=`` that is a word of its own to bash."""
    return [
        word
        for at, word in enumerate(words)
        if word != "=" or not (at and words[at - 1].startswith("--"))
    ]


def _name_of(word: str) -> str:
    """The ``--output=`` of ``--output=j``; nothing of other words."""
    name, equals, _ = word.partition("=")
    return name + equals if name.startswith("--") and equals else ""


def _items(
    asker: ShellComplete, args: list[str], incomplete: str, verbs: Mapping[str, click.Command]
) -> Iterator[CompletionItem[str]]:
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    if args and args[0] in verbs:
        asker.cli, args = verbs[args[0]], args[1:]
    elif not args:
        for name, verb in verbs.items():
            if name.startswith(incomplete):
                yield CompletionItem(name, help=verb.get_short_help_str())
    yield from asker.get_completions(args, incomplete)


def sources(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Issues that were orchestrated before, and files."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    return [*issues(context, parameter, incomplete), CompletionItem(incomplete, type="file")]


def folders(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Folders of the disk."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    return [CompletionItem(incomplete, type="dir")]


def programs(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """The agents that have a name of their own."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    names = ("amplifier", "claude", "copilot")
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def issues(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Issues that were orchestrated before, as they are typed."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    # As `status` writes them: the folder of `local#3` is `local-3`.
    names = {one.journal.parent.name.replace("local-", "local#") for one in _known(context)}
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


def agents(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """The agents of the orchestration that is meant."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    names: list[str] = []
    try:
        from orchestration import _core  # noqa: PLC0415
        from orchestration.events import Event  # noqa: PLC0415
        from orchestration.watching import find  # noqa: PLC0415

        from .view import View  # noqa: PLC0415

        view = View()
        found = find(_core.main_worktree(_repo(context)), context.params.get("issue"))
        for line in _core.Journal(found.journal).news():
            view.apply(Event.from_json(line))
        names = [f"agent-{agent}" for agent in view.tasks]
    except Exception:  # noqa: BLE001, S110 - a line that is being typed is no place for errors
        pass
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _known(context: click.Context) -> list[Orchestration]:
    try:
        from orchestration import _core  # noqa: PLC0415
        from orchestration.watching import known  # noqa: PLC0415

        return known(_core.main_worktree(_repo(context)))
    except Exception:  # noqa: BLE001 - likewise
        return []


def _repo(context: click.Context) -> str:
    return context.params.get("repo") or "."


repo_option = click.option(
    "--repo",
    metavar="PATH",
    default=".",
    shell_complete=folders,
    help="Any folder of the repository (.).",
)
"""The option of all verbs that look at one repository."""
