"""The key is made once, kept private, and is what a device is; the certificate is its envelope."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from changecapture.errors import ConfigError
from relay.trust.identity import (
    FILE,
    fingerprint,
    load_identity,
    make_identity,
    read_identity,
    verify_signature,
)
from relay.trust.state import Lock, open_state, read_private, write_private


def test_the_identity_is_made_once(tmp_path: Path):
    state = open_state(tmp_path / "state")
    assert load_identity(state).device == load_identity(state).device
    assert len(load_identity(state).device) == 64


def test_each_directory_is_another_device(tmp_path: Path):
    devices = {load_identity(open_state(tmp_path / name)).device for name in "ab"}
    assert len(devices) == 2


def test_what_is_kept_is_for_its_owner_alone(tmp_path: Path):
    state = open_state(tmp_path / "deep" / "state")
    load_identity(state)
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_directory_that_others_may_enter_is_refused_with_what_mends_it(tmp_path: Path, mode: int):
    open_state(tmp_path / "state").chmod(mode)
    with pytest.raises(ConfigError, match=r"other users may reach .*chmod 700"):
        open_state(tmp_path / "state")


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_may_read_is_refused_with_what_mends_it(tmp_path: Path, mode: int):
    state = open_state(tmp_path / "state")
    load_identity(state)
    (state / FILE).chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_identity(state)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(tmp_path: Path):
    os.chown(open_state(tmp_path / "state"), 12345, -1)
    with pytest.raises(ConfigError, match="belongs to another user"):
        open_state(tmp_path / "state")


def test_a_damaged_key_is_one_line_and_is_not_replaced(tmp_path: Path):
    state = open_state(tmp_path / "state")
    write_private(state / FILE, b"nonsense")
    with pytest.raises(ConfigError, match="is damaged"):
        load_identity(state)
    assert read_private(state / FILE) == b"nonsense"


def test_a_key_with_the_certificate_of_another_is_refused():
    one, other = make_identity(), make_identity()
    key, _, _ = one.partition(b"-----BEGIN CERTIFICATE")
    _, begin, certificate = other.partition(b"-----BEGIN CERTIFICATE")
    with pytest.raises(ValueError):
        read_identity(key + begin + certificate)


def test_the_certificate_says_nothing_of_the_site_and_is_valid_whatever_the_clock():
    identity = read_identity(make_identity())
    assert identity.certificate.subject.rfc4514_string() == "CN=changecapture"
    assert identity.certificate.not_valid_before_utc.year == 1970
    assert identity.certificate.not_valid_after_utc.year == 9999
    assert fingerprint(identity.certificate) == identity.device


def test_a_certificate_made_anew_for_the_same_key_is_the_same_device():
    before = read_identity(make_identity())
    after = read_identity(make_identity(before.key))
    assert before.certificate != after.certificate and before.device == after.device


def test_a_signature_is_of_the_device_that_made_it_and_of_no_other():
    one, other = read_identity(make_identity()), read_identity(make_identity())
    signature = one.key.sign(b"text")
    assert verify_signature(one.device, one.public_key, signature, b"text")
    assert not verify_signature(one.device, one.public_key, signature, b"texT")
    assert not verify_signature(other.device, one.public_key, signature, b"text")
    assert not verify_signature(one.device, other.public_key, signature, b"text")
    assert not verify_signature(one.device, b"short", signature, b"text")


def test_a_file_is_replaced_whole(tmp_path: Path):
    path = tmp_path / "file"
    write_private(path, b"one")
    (tmp_path / "file.new").write_bytes(b"left by a crash")
    write_private(path, b"two")
    assert path.read_bytes() == b"two" and list(tmp_path.iterdir()) == [path]


def test_a_lock_is_held_by_one_program_and_given_back_by_its_end(tmp_path: Path):
    hold = (
        "import sys; from pathlib import Path; from relay.trust.state import Lock\n"
        "lock = Lock(Path(sys.argv[1])); print(lock.take(), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "True\n"
        lock = Lock(tmp_path)
        assert not lock.take()
        process.kill()
        process.wait()
    assert lock.take()
    lock.release()
