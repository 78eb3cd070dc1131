"""The drop-in for web2py: a file for an application's models/, which web2py runs at each request.

It stands alone, in the Python of web2py (2.7 or 3), and does next to nothing: once in five minutes a process
of web2py calls ``changecapture-relay ensure``, in a thread. The relay is no child of web2py's: it survives
its reloads, and however many processes there are, there is one.
"""

from collections.abc import Sequence

DROP_IN = """\
# -*- coding: utf-8 -*-
# Starts the changecapture relay with this server, and again should it have ended. Written by
# `changecapture-relay web2py`; remove this file to start it otherwise. It changes nothing of the application.


def _changecapture_relay(command={command!r}, every=300):
    import subprocess
    import sys
    import threading
    import time

    # Models run at each request: what they know is kept beside sys, for the life of this process.
    if time.time() - getattr(sys, "_changecapture_asked_at", 0) < every:
        return
    sys._changecapture_asked_at = time.time()

    def ensure():
        try:
            subprocess.Popen(command, stdin=subprocess.PIPE, close_fds=True).communicate()
        except Exception as error:
            sys.stderr.write("changecapture relay: %s\\n" % error)

    thread = threading.Thread(target=ensure)
    thread.daemon = True
    thread.start()


_changecapture_relay()
"""


def make_drop_in(command: Sequence[str]) -> str:
    """Return the file; ``command`` is run to see that a relay runs."""
    return DROP_IN.format(command=list(command))
