"""What the person in front of the demo sees: in colour on a terminal, plain text elsewhere.

Lines come from several threads, whole. When nobody reads any more the demo goes on in silence.
"""

import sys
import textwrap
from typing import IO, Any

from rich.console import Console
from rich.text import Text

WIDTH = 100
COLOURS = ("cyan", "magenta")


class Screen:
    """Prints; knows nothing of what it says. ``sites``: the names that get a colour of their own."""

    def __init__(self, stream: IO[str] = sys.stdout, sites: tuple[str, ...] = ()) -> None:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace", line_buffering=True)
        self._console = Console(file=stream, highlight=False, markup=False, soft_wrap=True)
        self._width = min(self._console.width, WIDTH) if self._console.is_terminal else WIDTH
        self._sites = dict(zip(sites, COLOURS, strict=False))
        self._margin = max(map(len, sites), default=0) + 2

    def title(self, text: str) -> None:
        """Print the first line."""
        self._print((text, "bold"))

    def act(self, text: str) -> None:
        """Begin a part."""
        self._print(("", ""))
        self._print((text, "bold yellow"))

    def tell(self, text: str) -> None:
        """Print a paragraph that explains."""
        for line in textwrap.wrap(text, self._width - 1):
            self._print((line, ""))

    def site(self, name: str, text: str) -> None:
        """Print what happens at a site."""
        self._print((f"  {name:{self._margin}}", f"bold {self._sites.get(name, '')}"), (text, ""))

    def relay(self, name: str, text: str) -> None:
        """Print a line of a relay's log."""
        self._print(("  ", ""), (f"{name} relay | ", f"dim {self._sites.get(name, '')}"), (text, "dim"))

    def detail(self, text: str, style: str = "") -> None:
        """Print a line that belongs to the one above; what is too long is cut."""
        room = self._width - self._margin - 2
        cut = text if len(text) <= room else f"{text[: room - 3]} .."
        self._print((" " * (self._margin + 2), ""), (cut, style))

    def good(self, text: str) -> None:
        """Print a result that is as it should be."""
        self._print((text, "bold green"))

    def bad(self, text: str) -> None:
        """Print a result that is not."""
        self._print((text, "bold red"))

    def _print(self, *parts: tuple[str, Any]) -> None:
        try:
            self._console.print(Text.assemble(*parts))
        except (OSError, SystemExit):  # rich ends the program when the pipe is closed
            self._console.quiet = True
