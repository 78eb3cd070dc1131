"""``changecapture completion``: what a shell needs to complete commands and options."""

import click
from click.shell_completion import get_completion_class

EPILOG = """\b
Example:
  changecapture completion bash >> ~/.bashrc
  changecapture completion zsh >> ~/.zshrc
  changecapture completion fish > ~/.config/fish/completions/changecapture.fish
"""
PROGRAMS = {
    "changecapture": "_CHANGECAPTURE_COMPLETE",
    "changecapture-relay": "_CHANGECAPTURE_RELAY_COMPLETE",
}
"""Each with the variable by which a shell asks it."""


@click.command("completion", epilog=EPILOG)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print what lets a shell complete commands with the Tab key."""
    found = get_completion_class(shell)
    assert found is not None
    root = context.find_root()
    for program, variable in PROGRAMS.items():
        click.echo(found(root.command, {}, program, variable).source())
