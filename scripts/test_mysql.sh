#!/usr/bin/env bash
# test_mysql.sh URL [ARGUMENTS]: runs the suite on a MySQL or MariaDB server that somebody else started.
#
# URL is an administrator's, mysql://user:password@host:port/ , of a server that may be spoiled: databases
# cc_* and accounts are made and dropped in it. ARGUMENTS go to pytest; left out: all but the long tests.
#
# Run by those who wrote this: MariaDB 10.11, and MySQL 9.7 with innodb_native_foreign_keys=ON (decision 73).
# MySQL 8 WAS NEVER RUN. What fails there is news; please report it with what is printed first.
#
# The server wants local_infile=1 and, beside a binary log, log_bin_trust_function_creators=1; Vesuvius' own
# schema wants restrict_fk_on_non_standard_key=OFF where there is such a thing (MySQL 8.4). Databases are
# copied with the programs mariadb and mariadb-dump of MariaDB's client. Tests that kill their server, or
# set it up in their own way (tests/fault, test_account.py, test_doctor_mariadb.py, the demo), start a MariaDB
# of their own all the same, which the system must have.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
url=${1:?usage: scripts/test_mysql.sh mysql://user:password@host:port/ [arguments of pytest]}
shift

"$python" - "$url" <<'PROGRAM'
import sys

from tests.support.databases import fetch

url = sys.argv[1]
((version, log, trusting, infile, packet),) = fetch(
    url,
    "SELECT CONCAT(@@version, ', ', @@version_comment), @@log_bin, @@log_bin_trust_function_creators, "
    "@@local_infile, @@max_allowed_packet",
)
print(f"server: {version}")
wrong = []
if log and not trusting:
    wrong.append("SET GLOBAL log_bin_trust_function_creators = 1;")
if not infile:
    wrong.append("SET GLOBAL local_infile = 1;")
if ("restrict_fk_on_non_standard_key", "ON") in fetch(
    url, "SHOW GLOBAL VARIABLES LIKE 'restrict_fk_on_non_standard_key'"
):
    wrong.append("SET GLOBAL restrict_fk_on_non_standard_key = OFF;")
if packet < 64 << 20:
    wrong.append("SET GLOBAL max_allowed_packet = 67108864;")
if wrong:
    sys.exit("run there first, as an administrator: " + " ".join(wrong))
PROGRAM

export CHANGECAPTURE_TEST_MYSQL_URL=$url
# One process: the accounts of a server are shared by all that test on it.
exec "$python" -m pytest -m 'not long' "$@"
