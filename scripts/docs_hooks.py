"""What mkdocs is given besides docs/: pages made from the programs, and sections of ARCHITECTURE.md.

- ``reference/<program>.md``: every command and option, from the same objects that print ``--help``
- ``changes.md``: CHANGES.md
- a line ``<!-- include: FILE#heading -->`` in a page stands for that section of a file of the project
  (without its heading), one ``<!-- include: FILE -->`` for a whole text file, as a block of code; a link
  in the next line, for readers of the checkout, is left out

So each fact has one source. A section that is no longer there is an error of the build.
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from changecapture.cli import commands
from relay.cli import main as relay_commands

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = {"changecapture": commands, "changecapture-relay": relay_commands}
INCLUDE = re.compile(r"^<!-- include: (?P<file>[\w./-]+)(#(?P<heading>[\w-]+))? -->(\n\[.*\]\(.*\))?$", re.M)
PAGES = {"#security": "security.md", "#guarantees": "guarantees.md", "#theory": "how-it-works.md"}
"""Where a link within ARCHITECTURE.md leads in the documentation."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    made = {f"reference/{name}.md": describe_program(name, group) for name, group in PROGRAMS.items()}
    made["changes.md"] = (ROOT / "CHANGES.md").read_text(encoding="utf-8")
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the included sections in."""
    return INCLUDE.sub(lambda found: include(found["file"], found["heading"]), markdown)


def include(file: str, heading: str | None) -> str:
    """Return a section of a Markdown file, or a whole file as code; raise PluginError without it."""
    text = (ROOT / file).read_text(encoding="utf-8")
    if heading is None:
        return f"```{Path(file).suffix.lstrip('.')}\n{text.rstrip()}\n```"
    section = find_section(text, heading)
    if section is None:
        raise PluginError(f"{file} has no section #{heading}")
    return re.sub(r"\]\((#[\w-]+)\)", lambda link: f"]({PAGES.get(link[1], link[1])})", section)


def find_section(text: str, heading: str) -> str | None:
    """Return what stands under a heading, up to the next one that is not below it; None: no such heading."""
    parts = re.split(r"^(#+) (.+)$", text, flags=re.M)
    headings = list(zip(parts[1::3], parts[2::3], parts[3::3], strict=True))
    for place, (marks, title, body) in enumerate(headings):
        if anchor(title) == heading:
            below = [body]
            for deeper, name, more in headings[place + 1 :]:
                if len(deeper) <= len(marks):
                    break
                below.append(f"{deeper} {name}{more}")
            return "".join(below).strip()
    return None


def anchor(title: str) -> str:
    """Return the name by which links lead to a heading."""
    return re.sub(r"[^\w]+", "-", title.lower()).strip("-")


def describe_program(name: str, group: click.Group) -> str:
    """Return the page of a program: how it is called, then each command."""
    context = click.Context(group, info_name=name)
    lines = [f"# {name}", "", *_text(group), "", *_options(group, context)]
    for path, command in walk(group):
        lines += [
            "",
            f"{'#' * (len(path) + 1)} {' '.join((name, *path))}",
            "",
            *_describe(command, path, name),
        ]
    return "\n".join(lines) + "\n"


def walk(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command below a group with the words that call it, groups before their commands."""
    for word, command in sorted(group.commands.items()):
        yield (*path, word), command
        if isinstance(command, click.Group):
            yield from walk(command, (*path, word))


def _describe(command: click.Command, path: tuple[str, ...], program: str) -> Iterator[str]:
    context = click.Context(command, info_name=" ".join((program, *path)))
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (f"    {context.info_name} {usage}", "")
    yield from _text(command)
    yield ""
    yield from _options(command, context)


def _text(command: click.Command) -> Iterator[str]:
    """Yield the help and what stands at its end; \\b keeps lines as they are, as in a terminal."""
    yield from _paragraphs(inspect.cleandoc(command.help or ""))
    if command.epilog:
        yield ""
        yield from _paragraphs(inspect.cleandoc(command.epilog))


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text):
        kept = paragraph.lstrip("\n").startswith("\b")
        body = paragraph.replace("\b", "").strip("\n")
        yield from (f"    {line}" for line in body.split("\n")) if kept else (_plain(body),)
        yield ""


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    records = [p.get_help_record(context) for p in command.get_params(context)]
    found = [record for record in records if record]
    if not found:
        return
    yield from ("| option | meaning |", "|---|---|")
    for option, meaning in found:
        yield f"| {_code(option)} | {_plain(meaning).replace('|', '&#124;')} |"


def _code(text: str) -> str:
    """Return a text as code that may stand in a table."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<code>{escaped.replace('|', '&#124;')}</code>"


def _plain(text: str) -> str:
    """Return a text that is to be read as it is: no Markdown, no HTML."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([*_\[\]])", r"\\\1", escaped) if "`" not in text else escaped
