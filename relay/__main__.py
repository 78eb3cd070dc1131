"""``python -m relay`` is ``changecapture-relay``."""

from relay.cli import main

if __name__ == "__main__":
    main(prog_name="changecapture-relay")
