"""The program ``changecapture`` of a portable folder."""

import sys
from multiprocessing import freeze_support

from changecapture.cli import main

freeze_support()  # `sync` starts a second process; a frozen program has to be told
sys.exit(main())
