"""The page: what the coordinator of a site sees and decides, in a browser, without the internet.

The relay serves it, to this machine alone unless told otherwise, once a password was set
(``changecapture-relay password``). Plain HTML forms, no script: everything is in this package.

    browser -> resource (bytes) -> Visit -> Pages.answer: Guard -> forms and views -> Reply

- ``guard``: who may look and act. Foreign Host headers are refused (DNS rebinding), forms need the
  token of their session, sessions end, guesses of the password are few.
- ``views``: data classes of what is shown, read from the changelog's tables and from the relay.
- ``forms``: what a person does. They call what the commands call, and each is logged with who did it.
- The page has a connection of its own, in a thread of its own, opened when somebody looks.
"""
