"""The pure core: values, names, clocks, merge and wire format. No I/O, no driver, no clock of its own."""
