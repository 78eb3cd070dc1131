"""The relay under systemd: what it tells its manager, and the unit that starts it.

sd_notify is one datagram to the socket that NOTIFY_SOCKET names; a library for it would be longer.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from relay.clock import Clock, Timer, cancel

NAME = "changecapture-relay"
UNIT = """\
[Unit]
Description=changecapture relay: keeps the databases of this site in step with other sites
# Not network-online: a camp boots without a network, and the relay waits for it and for its database itself.
After=network.target postgresql.service mariadb.service mysql.service
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
User={user}
ExecStart={command}
# CHANGECAPTURE_URL=.. and what else relay.toml takes from the environment; for its owner alone (chmod 600).
EnvironmentFile=-{environment}
WatchdogSec=120
Restart=always
RestartSec=10
TimeoutStopSec=60
UMask=0077
ReadWritePaths={writable}
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
LockPersonality=yes
RemoveIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# Not MemoryDenyWriteExecute: the callbacks by which TLS asks us about certificates are made at run time.

[Install]
WantedBy=multi-user.target
"""


def make_unit(*, user: str, command: Sequence[str], environment: Path, writable: Sequence[Path]) -> str:
    """Return the unit's text. ``environment``: a file of variables, which may be missing."""
    return UNIT.format(
        user=user,
        command=" ".join(map(_quote, command)),
        environment=str(environment).replace("%", "%%"),
        writable=" ".join(_quote(str(path)) for path in writable),
    )


def _quote(word: str) -> str:
    """Return a word as systemd reads it: its own signs doubled, spaces within quotes."""
    word = word.replace("%", "%%").replace("$", "$$").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{word}"' if " " in word or '"' in word else word


class Manager:
    """Who started us, if it wants to hear of us; else silence."""

    def __init__(self, clock: Clock, environ: Mapping[str, str] = os.environ) -> None:
        """``environ``: NOTIFY_SOCKET and WATCHDOG_USEC."""
        self._clock = clock
        self._path = environ.get("NOTIFY_SOCKET", "")
        watchdog = environ.get("WATCHDOG_USEC", "")
        self._every_s = int(watchdog) / 2_000_000 if watchdog.isdigit() else 0.0
        self._timer: Timer | None = None

    def ready(self) -> None:
        """The port is open. From now on signs of life come, from the reactor: it is what must not hang."""
        self._tell("READY=1")
        if self._path and self._every_s:
            self._live()

    def stopping(self) -> None:
        """It ends, in order."""
        cancel(self._timer)
        self._tell("STOPPING=1")

    def _live(self) -> None:
        self._tell("WATCHDOG=1")
        self._timer = self._clock.callLater(self._every_s, self._live)

    def _tell(self, text: str) -> None:
        if not self._path:
            return
        address = "\0" + self._path[1:] if self._path.startswith("@") else self._path
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.sendto(text.encode(), address)
        except OSError:
            # The manager is gone or asks in vain; it is no reason to stop exchanging.
            pass
