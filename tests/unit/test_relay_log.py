"""The relay's lines."""

import io
import json
import re

from relay.log import JsonLog, NamedLog, TextLog


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


def test_json_is_one_object_a_line_also_for_a_traceback():
    stream = io.StringIO()
    log = NamedLog("north", JsonLog(stream))
    log.info("a\nb")
    try:
        raise ZeroDivisionError("why")
    except ZeroDivisionError:
        log.failure("a mistake")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["level"], first["text"]) == ("info", "north: a\nb") and first["time"].endswith("+00:00")
    assert second["level"] == "error" and "ZeroDivisionError: why" in second["trace"]
