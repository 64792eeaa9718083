# SPDX-License-Identifier: Apache-2.0
"""open-iscsi, the initiator of Linux, asks which targets there are."""

from lib import daemon, open_iscsi

SECRET, TARGETS_SECRET = "a secret of the scout", "a secret of the target"


def portal(running):
    return f"{running.address[0]}:{running.address[1]}"


def chap(secret, **mutual):
    return {"discovery_sendtargets_auth_authmethod": "CHAP", "discovery_sendtargets_auth_username": "scout",
            "discovery_sendtargets_auth_password": secret,
            **{f"discovery_sendtargets_auth_{key}": value for key, value in mutual.items()}}


def test_it_finds_every_target(tmp_path):
    """More of them than fit into one PDU."""
    names = sorted(f"iqn.2026-11.org.example:number-{number}-{'x' * 100}" for number in range(200))
    targets = [daemon.target("null:1M", name=name) for name in names]
    with daemon.serve_targets(tmp_path, *targets) as running:
        status, found, output = open_iscsi.discover(open_iscsi.state_folder(tmp_path), running.address)
        assert status == 0, output
        assert sorted(found) == [(portal(running), name) for name in names]
        running.wait_for_log(f"{open_iscsi.INITIATOR} logged in")


def test_it_finds_them_with_chap_both_ways_and_not_with_a_wrong_secret(tmp_path):
    for name, secret in (("scout", SECRET), ("target", TARGETS_SECRET)):
        (tmp_path / name).write_text(secret)
        (tmp_path / name).chmod(0o600)
    discovery = {"auth": "chap", "users": [{"user": "scout", "secret_file": str(tmp_path / "scout")}],
                 "mutual": {"user": "disks", "secret_file": str(tmp_path / "target")}}
    with daemon.serve_targets(tmp_path, daemon.target("null:1M"), discovery=discovery) as running:
        def found_with(*arguments, **mutual):
            path = tmp_path / f"state-{len(list(tmp_path.iterdir()))}"
            path.mkdir()
            status, found, output = open_iscsi.discover(path, running.address, **chap(*arguments, **mutual))
            assert (status == 0) == bool(found), output
            print(output)
            return found

        assert found_with(SECRET) == [(portal(running), daemon.TARGET)]
        assert found_with(SECRET, username_in="disks", password_in=TARGETS_SECRET) == [(portal(running), daemon.TARGET)]
        assert found_with("a secret of nobody's") == []
        assert found_with(SECRET, username_in="disks", password_in="not the target's own") == []
        running.wait_for_log("0201")
