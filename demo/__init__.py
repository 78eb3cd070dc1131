"""``make demo``: the main job, shown on three Sahana sites of our own.

Not installed. It uses what an operator has (``changecapture install``, ``changecapture-relay run``) and,
for the servers, the schemas, the application's writing and the comparison, what the tests stand on.
"""
