"""What a pooler before PostgreSQL is to a client: the process that it names is of its own making."""

import re
import socket
from threading import Thread
from typing import Self

PROCESS = re.compile(rb"(K\0\0\0.)....", re.DOTALL)
"""BackendKeyData, up to the number of the process."""


class Pooler:
    """Carries one connection after the other to the server."""

    def __init__(self, target: int) -> None:
        """``target``: the server's port on 127.0.0.1."""
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with near, socket.create_connection(("127.0.0.1", self._target)) as far:
                asking = Thread(target=_carry, args=(near, far), daemon=True)
                asking.start()
                _carry(far, near)
                asking.join()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    """Carry what comes to its end; the server tells its process before a client has asked anything."""
    named = 0
    try:
        while data := source.recv(65536):
            if not named:
                data, named = PROCESS.subn(b"\\1\0\0\0\2", data)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
