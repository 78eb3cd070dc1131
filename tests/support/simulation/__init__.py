"""Five whole sites with real relays, on a clock and a network that are not: one seed, one course of events.

What is real: the stores' log, publish, merge, apply, sync and compaction on a database in memory, and of the
relay its sessions, peers, roster, polls, pushes, paces and loops. What is not: time (``clock``), the network
(``network``: delays, partitions, lost and doubled calls), the threads of the database and the processes
(``host``: a crash comes before any statement; nothing of the relay survives, the transaction is rolled back).
The application writes at random (``application``), its clock is wrong; databases are put back and copied.

A run is ``world.Simulation(seed).run()``: some seconds of trouble, then peace until nothing moves any more.
"""
