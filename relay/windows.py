# mypy: untyped-calls-exclude=twisted
"""The relay as a service of Windows, by pywin32 (``pip install changecapture[windows]``).

Only a stub of pywin32 has run this, on Linux (tests/endtoend/test_relay_service.py): no Windows was at hand.
Imported on Windows alone, by ``changecapture-relay service`` and by pywin32's own host of services.
"""

import sys
from pathlib import Path
from typing import Any

import servicemanager
import win32service
import win32serviceutil

NAME = "changecapture-relay"
CLASS = "relay.windows.RelayService"


class RelayService(win32serviceutil.ServiceFramework):  # type: ignore[misc]
    """What the service manager starts and stops."""

    _svc_name_ = NAME
    _svc_display_name_ = "changecapture relay"
    _svc_description_ = "Keeps the databases of this site in step with other sites."

    def SvcDoRun(self) -> None:
        """Run until SvcStop; the log is beside the configuration."""
        from relay.program import start_relay

        config = Path(win32serviceutil.GetServiceCustomOption(NAME, "config"))
        with config.with_suffix(".log").open("a", encoding="utf-8") as stream:
            reactor = start_relay(config, stream)
            servicemanager.LogInfoMsg(f"{NAME} runs with {config}")
            # This is no main thread: it gets no signals.
            reactor.run(installSignalHandlers=False)

    def SvcStop(self) -> None:
        """End in order; called in another thread."""
        from twisted.internet import reactor

        self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING)
        ending: Any = reactor
        ending.callFromThread(ending.stop)


def manage(verb: str, config: Path) -> str:
    """Install, uninstall, start or stop the service, or tell its state; return what there is to say."""
    if verb == "install":
        win32serviceutil.InstallService(
            CLASS,
            NAME,
            RelayService._svc_display_name_,
            startType=win32service.SERVICE_AUTO_START,
            description=RelayService._svc_description_,
        )
        win32serviceutil.SetServiceCustomOption(NAME, "config", str(config.absolute()))
        return f"installed {NAME} for {sys.executable}"
    if verb == "uninstall":
        win32serviceutil.RemoveService(NAME)
    elif verb == "start":
        win32serviceutil.StartService(NAME)
    elif verb == "stop":
        win32serviceutil.StopService(NAME)
    else:
        running = win32serviceutil.QueryServiceStatus(NAME)[1] == win32service.SERVICE_RUNNING
        return f"{NAME} {'runs' if running else 'does not run'}"
    return f"{verb}: done"
