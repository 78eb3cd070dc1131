"""``make bench``: how quick and how large. Prints figures beside their goals and asserts nothing.

Ratios where it can be: the same machine does a known thing with the same rows, right before and after.
Servers sync to disk. ``--scale`` makes everything smaller for a quick look; goals are meant for 1.
"""
