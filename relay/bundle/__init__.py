"""A USB stick as a link: batches in a file, for one paired device and no other.

A *bundle* carries what a site lacks, as the same batches that the relay would ship; a *receipt*, carried
back, says what the site has then, so that the next bundle begins after it. ``seal`` is the envelope, ``keep``
what is kept of bundles in the state directory, ``carry`` makes and takes them. No relay need run, and one
that does is not disturbed.
"""
