"""The program ``changecapture-relay`` of a portable folder."""

from multiprocessing import freeze_support

from relay.cli import main

freeze_support()
main()
