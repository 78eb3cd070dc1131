"""A store in which something happens at a chosen moment: an application that is quicker than we are."""

from collections.abc import Callable
from typing import Any

from changecapture.store.interface import Store


class InterruptedStore:
    """A store that calls ``action`` once, before the chosen method runs for the first time."""

    def __init__(self, store: Store, method: str, action: Callable[[], object]) -> None:
        self._store = store
        self._method = method
        self._action = action
        self.done = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name != self._method:
            return found

        def interrupted(*arguments: Any, **named: Any) -> Any:
            if not self.done:
                self.done = True
                self._action()
            return found(*arguments, **named)

        return interrupted
