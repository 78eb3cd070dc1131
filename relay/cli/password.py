"""``changecapture-relay password``."""

import sys
from pathlib import Path

import click

from relay.cli.options import config_option, ending, example


@click.command(epilog=example("password", "password < password.txt"))
@config_option
def password(config_file: Path) -> None:
    """Set the password of the page in the browser.

    A relay that runs takes it at once, and every session ends. It is asked for twice; or give it as one line
    on standard input.
    """
    from relay.config import read_program
    from relay.page.password import write_password

    with ending():
        program = read_program(config_file, database=False)
        given = sys.stdin
        if given.isatty():
            text = click.prompt("password", hide_input=True, confirmation_prompt=True)
        else:
            text = given.readline().rstrip("\r\n")
        write_password(program.sites[0].state, text)
    where = f"http://{program.page.host}:{program.page.port}/"
    served = f"the page is at {where} within seconds where the relay runs"
    click.echo(f"the password is set; {served if program.page.enabled else '[page] enabled is false'}")
