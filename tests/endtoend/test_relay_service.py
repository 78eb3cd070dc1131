"""A relay that others start: systemd, web2py, cron, Windows.

systemd's own tools check the unit, a datagram socket stands for it; of Windows there is a stub of pywin32.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.endtoend.test_relay_process import BOUND_S, ROOT
from tests.support.patience import Patience

CONFIG = """\
[site]
name = "north"
[database]
url = "postgresql://u:p@127.0.0.1:1/d"
[listen]
host = "127.0.0.1"
port = 0
[discovery]
enabled = false
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "relay.toml"
    path.write_text(CONFIG)
    return path


def run(*command: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "relay", *command],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=BOUND_S,
    )


# systemd


def write_unit(config: Path) -> Path:
    ended = run("service", "install", "--print", "--user", "root", "--config", str(config))
    assert ended.returncode == 0, ended.stderr
    unit = config.with_name("changecapture-relay.service")
    unit.write_text(ended.stdout)
    return unit


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("systemd-analyze")
    assert program, "systemd-analyze is missing: apt-get install systemd"
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=BOUND_S)


def test_the_unit_is_one_that_systemd_takes(config):
    ended = analyze("verify", str(write_unit(config)))
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_the_unit_is_hardened(config):
    unit = str(write_unit(config))
    ended = analyze("security", "--offline=yes", "--threshold=25", "--no-pager", unit)
    assert ended.returncode == 0, ended.stdout[-500:]


def test_the_unit_waits_for_no_network(config):
    text = write_unit(config).read_text()
    assert not re.search(r"^(After|Wants|Requires)=.*network-online", text, re.MULTILINE)
    assert "Type=notify" in text and "WatchdogSec=" in text


def test_systemd_hears_ready_signs_of_life_and_the_end(config, tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(BOUND_S)
        process = subprocess.Popen(
            [sys.executable, "-m", "relay", "run", "--config", str(config)],
            cwd=ROOT,
            env={**os.environ, "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "200000"},
            stderr=subprocess.DEVNULL,
        )
        try:
            assert [manager.recv(100) for _ in range(4)] == [b"READY=1"] + 3 * [b"WATCHDOG=1"]
            process.send_signal(signal.SIGTERM)
            while (said := manager.recv(100)) == b"WATCHDOG=1":
                pass
            assert said == b"STOPPING=1"
            assert process.wait(BOUND_S) == 0
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def systemctl(tmp_path: Path) -> Path:
    """A stub of systemctl that notes how it is called: installing here would touch the system's own."""
    (tmp_path / "bin").mkdir()
    called = tmp_path / "called"
    program = tmp_path / "bin" / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {called}\n')
    program.chmod(0o755)
    return called


def test_install_and_uninstall_leave_nothing_but_the_state(config, systemctl, tmp_path):
    units, path = tmp_path / "units", f"{tmp_path}/bin:{os.environ['PATH']}"
    units.mkdir()
    for verb in ("install", "start", "status", "stop", "uninstall"):
        ended = run("service", verb, "--config", str(config), "--units", str(units), PATH=path)
        assert ended.returncode == 0, ended.stderr
        assert (units / "changecapture-relay.service").exists() == (verb != "uninstall")
    name = "changecapture-relay.service"
    assert systemctl.read_text().splitlines() == [
        "daemon-reload",
        f"enable {name}",
        f"start {name}",
        f"status {name}",
        f"stop {name}",
        f"disable --now {name}",
        "daemon-reload",
    ]
    assert config.with_suffix(".state").stat().st_mode & 0o777 == 0o700


def test_who_may_not_install_is_told_what_to_do(config, tmp_path):
    ended = run("service", "install", "--config", str(config), "--units", str(tmp_path / "none"))
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1 and "run it as root" in ended.stderr


# cron and web2py


def find_relays(config: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if str(config) in command and "run" in command:
            found.append(process)
    return found


@pytest.fixture
def ended(config: Path) -> Iterator[None]:
    """End what a test has detached."""
    yield
    for process in find_relays(config):
        process.terminate()
        process.wait(BOUND_S)


@pytest.mark.usefixtures("ended")
def test_many_callers_at_once_start_one_relay_and_later_ones_none(config):
    with ThreadPoolExecutor(4) as threads:
        said = list(threads.map(lambda _: run("ensure", "--config", str(config)), range(4)))
    assert [each.returncode for each in said] == [0] * 4, said
    assert sum("started" in each.stdout for each in said) == 1
    (first,) = find_relays(config)
    assert run("ensure", "--config", str(config)).stdout == ""
    assert find_relays(config) == [first]


@pytest.mark.long
@pytest.mark.usefixtures("ended")
def test_a_relay_that_was_killed_is_started_again(config):
    run("ensure", "--config", str(config))
    (first,) = find_relays(config)
    first.kill()
    Patience().wait(lambda: not first.is_running() or first.status() == psutil.STATUS_ZOMBIE, "its end")
    assert "started" in run("ensure", "--config", str(config)).stdout
    assert len([p for p in find_relays(config) if p != first]) == 1


def test_a_relay_that_cannot_start_is_said(config):
    config.write_text(CONFIG.replace('host = "127.0.0.1"', 'host = "192.0.2.1"'))
    said = run("ensure", "--config", str(config))
    assert said.returncode == 2 and "cannot listen on 192.0.2.1" in said.stderr


WEB2PY = """\
import sys, threading
code = compile(open(sys.argv[1]).read(), sys.argv[1], "exec")
for request in range(3):
    # A model is run at each request, in an environment of its own.
    exec(code, {"request": request})
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join()
"""


@pytest.mark.usefixtures("ended")
def test_web2py_starts_one_relay_however_many_processes_it_has_and_it_stays_when_they_end(config, tmp_path):
    model = tmp_path / "zz_changecapture.py"
    model.write_text(run("web2py", "--config", str(config)).stdout)
    servers = [
        subprocess.Popen([sys.executable, "-c", WEB2PY, str(model)], cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [(server.communicate()[1], server.returncode) for server in servers] == [(b"", 0)] * 3
    (relay,) = find_relays(config)
    assert relay.is_running() and relay.ppid() not in [server.pid for server in servers]


# Windows, by a stub of pywin32 on this system

STUB = """\
import sys, threading, types
options = {}
util = types.ModuleType("win32serviceutil")
class ServiceFramework:
    def __init__(self, args): self.said = []
    def ReportServiceStatus(self, status): self.said.append(status)
util.ServiceFramework = ServiceFramework
util.InstallService = lambda *a, **k: print("installed", a[1])
util.SetServiceCustomOption = lambda name, key, value: options.__setitem__(key, value)
util.GetServiceCustomOption = lambda name, key: options[key]
service = types.ModuleType("win32service")
service.SERVICE_STOP_PENDING, service.SERVICE_AUTO_START = 3, 2
manager = types.ModuleType("servicemanager")
started = threading.Event()
manager.LogInfoMsg = lambda text: started.set()
sys.modules.update(win32serviceutil=util, win32service=service, servicemanager=manager)
from pathlib import Path
from relay.windows import RelayService, manage
print(manage("install", Path(sys.argv[1])))
made = RelayService([])
thread = threading.Thread(target=made.SvcDoRun)
thread.start()
assert started.wait(30)
from twisted.internet import reactor
running = threading.Event()
reactor.callFromThread(running.set)
assert running.wait(30)
made.SvcStop()
thread.join(30)
print("ended", not thread.is_alive(), made.said)
"""


def test_the_windows_service_starts_and_stops_under_a_stub(config):
    ended = subprocess.run(
        [sys.executable, "-c", STUB, str(config)], cwd=ROOT, capture_output=True, text=True, timeout=BOUND_S
    )
    assert ended.returncode == 0, ended.stderr
    assert "installed changecapture-relay" in ended.stdout and "ended True [3]" in ended.stdout
    assert "listening on 127.0.0.1" in config.with_suffix(".log").read_text()
