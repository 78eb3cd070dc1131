"""Who may speak to this relay: its own identity, the devices paired with it, TLS that pins them.

A *device* is a key pair; its id is the SHA-256 of the public key. A site's data are only spoken of
with devices that a person has paired, at both ends (``pairing``), or that a paired device was allowed
to introduce (``introduction``). Certificates are envelopes of the keys: their dates, names and
issuers mean nothing, so a wrong clock does no harm.
"""
