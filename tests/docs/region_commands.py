"""The command line's reference, made from its argument parser."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from docs.region_tables import table
from troth.conformance.shell_command_line import LazyParser, build_parser


def parsers() -> Mapping[str, argparse.ArgumentParser]:
    """Every command's own parser."""
    for action in build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            found: Mapping[str, argparse.ArgumentParser] = action.choices
            return found
    raise AssertionError("the command has no subcommands")


def helps() -> Mapping[str, str]:
    """Every command's one line of help."""
    for action in build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {choice.dest: choice.help or "" for choice in action._choices_actions}
    raise AssertionError("the command has no subcommands")


def commands(_: str) -> str:
    rows = [(f"[`troth {name}`](#troth-{name})", text) for name, text in helps().items()]
    return table(("command", "what it does"), rows)


def _parser(command: str) -> argparse.ArgumentParser:
    """The parser of a command, or of one beneath it, as in `esl console`."""
    first, *rest = command.split()
    parser = parsers()[first]
    if isinstance(parser, LazyParser):
        parser.fill()
    for word in rest:
        (beneath,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
        parser = beneath.choices[word]
    return parser


def options(command: str) -> str:
    """The arguments of one command, as `troth COMMAND --help` shows them."""
    rows = [
        (_written(action), _meaning(action))
        for action in _parser(command)._actions
        if not isinstance(action, argparse._HelpAction)
    ]
    return table(("argument", "meaning"), rows)


def _written(action: argparse.Action) -> str:
    metavar = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    if action.choices is not None:
        metavar = "{" + ",".join(map(str, action.choices)) + "}"
    if isinstance(metavar, tuple):
        metavar = " ".join(metavar)
    assert isinstance(metavar, str)
    if not action.option_strings:
        return f"`{metavar}`" + (" …" if action.nargs in ("+", "*") else "")
    value = "" if action.nargs == 0 else f" {metavar}"
    return ", ".join(f"`{option}{value}`" for option in action.option_strings)


def _meaning(action: argparse.Action) -> str:
    assert action.help, f"{action.dest} has no help"
    return action.help.replace("|", "\\|")
