"""The relay's lines."""

import io
import re

from relay.log import TextLog


def test_a_line_begins_with_the_time_in_utc_and_warnings_are_marked():
    stream = io.StringIO()
    log = TextLog(stream)
    log.info("in step with {name}")
    log.warning("cannot reach x")
    first, second = stream.getvalue().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d in step with \{name\}", first)
    assert second.endswith(" warning: cannot reach x")


def test_a_mistake_comes_with_its_traceback():
    stream = io.StringIO()
    try:
        raise ZeroDivisionError("why")
    except ZeroDivisionError:
        TextLog(stream).failure("a mistake")
    assert "error: a mistake" in stream.getvalue() and "ZeroDivisionError: why" in stream.getvalue()


def test_a_log_that_nobody_reads_stops_nothing():
    stream = io.StringIO()
    stream.close()
    TextLog(stream).info("x")
