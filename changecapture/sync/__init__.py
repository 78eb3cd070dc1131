"""Sync: what two sites say to each other.

A pull is a few requests: the receiver names its vector and where it stands in the sender's changelog;
the sender answers with the next entries that the vector does not cover. With its first answer the sender
names the end of the pull and its own vector, the target; the receiver's vector is raised to the target
only when that end is reached (R11). Until then it resumes by (sender, epoch, position) and keeps what
it has. Resending is harmless: entries have names.

A push is the same with the other end calling: the receiver tells its request, the sender answers it. A
batch that does not follow the last one (it came twice, or a pull and a push crossed) is ``OutOfStep``:
nothing of it is taken, and the next request says where to go on.
"""

from changecapture.sync.receiver import BUNDLE, Received, expect, next_request, receive
from changecapture.sync.request import BATCH_CHARACTERS, NO_TERMS, PullRequest, follow_backlog, follow_request
from changecapture.sync.sender import LOOK_ENTRIES, Answer, answer, is_log_of, offer

__all__ = [
    "BATCH_CHARACTERS",
    "BUNDLE",
    "LOOK_ENTRIES",
    "NO_TERMS",
    "Answer",
    "PullRequest",
    "Received",
    "answer",
    "expect",
    "follow_backlog",
    "follow_request",
    "is_log_of",
    "next_request",
    "offer",
    "receive",
]
