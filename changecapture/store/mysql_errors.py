"""What the errors of MariaDB and MySQL mean here. Twin: postgresql_errors.py."""

import re

import pymysql
from pymysql.constants import ER

from changecapture.config import DatabaseURL
from changecapture.errors import ConfigError, DataError, DriftError, Gone, RetryLater, Unwritable

RIGHTS = "correct the URL, or grant it: changecapture doctor URL --role NAME, as an administrator, prints how"
UNIQUE_ERRORS = (ER.DUP_ENTRY, 1586)
REFERENCE_ERRORS = (1216, 1217, 1451, 1452)
VALUE_ERRORS = (1048, 1264, 1265, 1292, 1364, 1366, 1406, 1411, 1416, 1425, 1644, 3819, 4025, 22001)
COLLATION_ERRORS = (1267, 1270, 1271, 3854, 3988)
"""A column is compared with a text that its character set cannot hold: there is no such row."""
TOO_LARGE = 1153
"""A statement that the server does not read: it closes the connection."""
PACKET = "raise max_allowed_packet to 64M, in the server's configuration too"
READ_ONLY_ERRORS = (1290, 1792, 1836)
FULL_ERRORS = (1021, 1026, 1114)
FILE_ERRORS = range(1, 1000)
"""Of the server's own files and memory: they are about no row."""
ENGINE_ERRORS = (1005, 1030, 1180)
FULL = re.compile(r"No space left|Disk quota exceeded|File too large|\berr(?:no|code|or):? (?:27|28)\b", re.I)
BUSY_ERRORS = (1037, 1038, 1041, 1205, 1213, 1317, 1412, 3572, 1969, 3024)
"""1037, 1038, 1041: it has no memory just now. 1412: the application alters a table that a snapshot reads."""
GONE_ERRORS = (1053, 2003, 2006, 2013, 2055, 1047, 1152, 1158, 1159, 1160, 1161, 1927, 4031, 0)
"""1047: a node of Galera is not ready. 4031: MySQL 8, of a connection that was idle for long."""
CROWDED_ERRORS = (1040, 1203)
ROOM = "end some, or raise max_connections, max_user_connections or the account's limit; it is tried again"
DRIFT_ERRORS = (1054, 1146, 1305, 1360)
RIGHT_ERRORS = (1044, 1045, 1049, 1142, 1143, 1227, 1370, 1419, 1698)
ACCOUNT_ERRORS = (1129, 1130, 1226, 1251, 1524, 1820, 1862, 2059, 3118, 4151)
"""Locked, expired, at the end of what it may do in an hour, or of a host that is not let in."""
ACCOUNT = "as an administrator: SHOW CREATE USER says what it may; the server's host cache: FLUSH HOSTS"
TLS = "correct the ssl_ options of the URL, or the server's certificate"


def map_error(error: Exception, url: DatabaseURL) -> Exception:
    """Return the error of ours that a driver's error is; anything else as it is."""
    if not isinstance(error, pymysql.MySQLError):
        return error
    code = error.args[0] if error.args and isinstance(error.args[0], int) else -1
    text = " ".join(str(error.args[-1] if error.args else error).split())
    if code in UNIQUE_ERRORS:
        return DataError("a unique value is taken", reason="unique", why=text)
    if code == TOO_LARGE:
        return DataError("more than the server reads", reason="large", why=text, mend=PACKET)
    if code in COLLATION_ERRORS:
        return DataError("a column's characters have no such value", reason="value", why=text)
    if code in REFERENCE_ERRORS:
        return DataError("a foreign key refuses", reason="foreign key", why=text)
    if code in VALUE_ERRORS:
        return DataError("a value does not fit", reason="value", why=text)
    if code in DRIFT_ERRORS:
        mend = "run: changecapture install URL"
        return DriftError("the database is not as installed", why=text, mend=mend)
    if code in RIGHT_ERRORS:
        return ConfigError(f"{url} refuses", why=text, mend=RIGHTS)
    if code in CROWDED_ERRORS or (code == 1226 and "max_user_connections" in text):
        return Gone(f"no connection is left at {url}", why=text, mend=ROOM)
    if code in ACCOUNT_ERRORS:
        return ConfigError(f"the server does not let {url.user or 'this account'} in", why=text, mend=ACCOUNT)
    if code == 2026 or "CERTIFICATE_VERIFY_FAILED" in text:
        return ConfigError(f"no TLS with {url.host}", why=text, mend=TLS)
    if code in READ_ONLY_ERRORS:
        return Unwritable("the database is read-only", why=text)
    if code in FULL_ERRORS or ((code in FILE_ERRORS or code in ENGINE_ERRORS) and FULL.search(text)):
        return Unwritable("the disk of the database is full", why=text)
    if code in FILE_ERRORS:
        return Unwritable("the server cannot use its files", why=text)
    if code in BUSY_ERRORS:
        return RetryLater("the database is busy", why=text)
    if code in GONE_ERRORS or (code == -1 and isinstance(error, pymysql.InternalError)):
        return Gone(f"cannot reach {url}", why=text, mend="is the server running?")
    return error


def ends_transaction(error: Exception, *, on_timeout: bool) -> bool:
    """Return whether the server has rolled the whole transaction back, or is gone; ``on_timeout``: it does so
    when a lock was waited for too long (innodb_rollback_on_timeout)."""
    code = error.args[0] if error.args else 0
    return code == 1213 or (code == 1205 and on_timeout) or code in GONE_ERRORS
