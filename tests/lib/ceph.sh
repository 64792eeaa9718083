#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A Ceph of one node for tests, without root's folders, systemd or containers.
#
#     ceph.sh up FOLDER     starts a monitor, an OSD that keeps its objects in memory, and radosgw with one user, all
#                           below FOLDER; prints CEPH_CONF, S3_ENDPOINT, S3_ACCESS_KEY and S3_SECRET_KEY as KEY=VALUE,
#                           and S3_STRANGE_ACCESS_KEY and S3_STRANGE_SECRET_KEY of a user without any rights there
#     ceph.sh down FOLDER   ends what was started, by the process ids in FOLDER/pids, and removes the folder
#     ceph.sh kill FOLDER mon|osd   ends one of them at once, as a crash would
#     ceph.sh start FOLDER mon|osd  starts it again, and waits until it serves
#
# In the environment: CEPH_STORE=bluestore keeps the objects in a file, where they outlive a killed OSD; CEPH_USE=rbd makes a
# pool "rbd" for images instead of starting radosgw, CEPH_USE=both does both.
#
# Exit status 77: the programs are not installed.
set -eu

usage() { echo "usage: $0 up|down FOLDER, or kill|start FOLDER mon|osd" >&2; exit 2; }
[ $# -ge 2 ] || usage

access_key=TGTKITTESTS000000001
secret_key=tgtkit+tests/secret0000000000000000000001
strange_access_key=TGTKITSTRANGER000001
strange_secret_key=tgtkit+stranger/secret000000000000000001

# Several free ports at once, so that none is given twice.  The kernel gives none of these to whoever wants any, and ports.py
# has others, so that nobody takes them before they are listened on.
free_ports() {
	python3 -c '
import contextlib, random, socket, sys
held = []
while len(held) < int(sys.argv[1]):
    one = socket.socket()
    with contextlib.suppress(OSError):
        one.bind(("127.0.0.1", random.randrange(10000, 20000)))
        held.append(one)
print(*[one.getsockname()[1] for one in held])' "$1"
}

write_config() { # FOLDER MONITOR-PORT GATEWAY-PORT
	cat >"$1/ceph.conf" <<CONF
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon_initial_members = a
mon_host = [v2:127.0.0.1:$2]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
auth_allow_insecure_global_id_reclaim = false
keyring = $1/keyring
run_dir = $1/run
log_file = $1/log/\$name.log
admin_socket = $1/run/\$name.asok
pid_file =
crash_dir = $1/run
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
# A single monitor waits for nobody.
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
[mon]
mon_data = $1/mon
mon_data_avail_crit = 1
mon_data_avail_warn = 2
[osd]
osd_data = $1/osd
keyring = $1/osd/keyring
osd_objectstore = ${CEPH_STORE:-memstore}
memstore_device_bytes = ${CEPH_MEMORY:-3221225472}
bluestore_block_size = ${CEPH_MEMORY:-3221225472}
bluestore_block_create = true
bluestore_block_db_create = false
bluestore_block_wal_create = false
bluestore_cache_autotune = false
bluestore_cache_size = 67108864
osd_memory_target = 939524096
# How soon an OSD says that it is full.
osd_heartbeat_interval = 1
[client.admin]
rgw_data = $1/rgw
# Without tcp_nodelay a small answer takes 44 ms.
rgw_frontends = beast endpoint=127.0.0.1:$3 tcp_nodelay=1
rgw_dns_name = s3.localhost
rgw_thread_pool_size = 64
rgw_run_sync_thread = false
rgw_enable_lc_threads = false
rgw_enable_quota_threads = false
rgw_enable_usage_log = false
rgw_s3_auth_use_sts = true
rgw_sts_key = tgtkitsessionkey
CONF
}

launch() { # FOLDER NAME COMMAND...
	folder=$1 name=$2
	shift 2
	setsid "$@" </dev/null >"$folder/log/$name.out" 2>&1 &
	echo "$! $1" >>"$folder/pids"
}

wait_until() { # WHAT COMMAND...
	what=$1
	shift
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || { echo "$what does not come up" >&2; return 1; }
		sleep 0.1
	done
}

start_monitor() { # FOLDER
	ceph-authtool -C "$1/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' \
		--cap mgr 'allow *' >/dev/null
	ceph-authtool "$1/keyring" --gen-key -n mon. --cap mon 'allow *' >/dev/null
	fsid=$(ceph-conf -c "$1/ceph.conf" --lookup fsid)
	monmaptool --create --addv a "$(ceph-conf -c "$1/ceph.conf" --lookup mon_host)" --fsid "$fsid" \
		"$1/monmap" >/dev/null
	ceph-mon -c "$1/ceph.conf" -i a --mkfs --monmap "$1/monmap" --keyring "$1/keyring"
	run_mon "$1"
}

run_mon() { # FOLDER
	launch "$1" mon ceph-mon -f -c "$1/ceph.conf" -i a
	wait_until "the monitor" ceph -c "$1/ceph.conf" --connect-timeout 5 mon stat
}

osd_is_up() { # FOLDER
	ceph -c "$1/ceph.conf" --connect-timeout 5 osd stat | grep -q '1 up'
}

start_osd() { # FOLDER
	uuid=$(cat /proc/sys/kernel/random/uuid)
	key=$(ceph-authtool --gen-print-key)
	echo "{\"cephx_secret\":\"$key\"}" | ceph -c "$1/ceph.conf" osd new "$uuid" -i - >/dev/null
	ceph-authtool -C "$1/osd/keyring" -n osd.0 --add-key "$key" >/dev/null
	ceph-osd -c "$1/ceph.conf" -i 0 --mkfs --osd-uuid "$uuid" --mkkey >"$1/log/osd-mkfs.out" 2>&1
	run_osd "$1"
	wait_until "the OSD" osd_is_up "$1"
}

# A monitor takes an OSD that was killed for up until it hears otherwise, from the same OSD at the latest.
run_osd() { # FOLDER
	launch "$1" osd ceph-osd -f -c "$1/ceph.conf" -i 0
}

make_pool() { # FOLDER
	ceph -c "$1/ceph.conf" osd pool create rbd 8 >"$1/log/pool.out" 2>&1
	rbd -c "$1/ceph.conf" pool init rbd
}

use_programs() {
	case ${CEPH_USE:-} in
	rbd) echo rbd ;;
	both) echo rbd radosgw radosgw-admin ;;
	*) echo radosgw radosgw-admin ;;
	esac
}

kill_one() { # FOLDER NAME
	while read -r pid program; do
		[ "$program" = "ceph-$2" ] || continue
		tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q "^$program .*$1/ceph.conf" || continue
		kill -KILL "$pid"
		while [ -d "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; do sleep 0.02; done
	done <"$1/pids"
}

gateway_answers() { # PORT
	python3 -c 'import sys, urllib.request; urllib.request.urlopen("http://127.0.0.1:" + sys.argv[1])' "$1"
}

start_gateway() { # FOLDER PORT
	launch "$1" rgw radosgw -f -c "$1/ceph.conf" -n client.admin
	wait_until "radosgw" gateway_answers "$2"
	radosgw-admin -c "$1/ceph.conf" user create --uid=tests --display-name=tests --access-key="$access_key" \
		--secret-key="$secret_key" --caps='user-policy=*' >"$1/log/user.out" 2>&1
	radosgw-admin -c "$1/ceph.conf" user create --uid=stranger --display-name=stranger \
		--access-key="$strange_access_key" --secret-key="$strange_secret_key" >>"$1/log/user.out" 2>&1
}

up() { # FOLDER
	for program in ceph-mon ceph-osd ceph $(use_programs); do
		command -v $program >/dev/null || { echo "$program is not installed" >&2; exit 77; }
	done
	mkdir -p "$1/run" "$1/log" "$1/mon" "$1/osd" "$1/rgw"
	folder=$(cd "$1" && pwd)
	# shellcheck disable=SC2046
	set -- "$folder" $(free_ports 2)
	write_config "$1" "$2" "$3"
	start_monitor "$1"
	start_osd "$1"
	echo "CEPH_CONF=$1/ceph.conf"
	case ${CEPH_USE:-} in rbd | both) make_pool "$1" ;; esac
	[ "${CEPH_USE:-}" != rbd ] || return 0
	start_gateway "$1" "$3"
	echo "S3_ENDPOINT=http://127.0.0.1:$3"
	echo "S3_ACCESS_KEY=$access_key"
	echo "S3_SECRET_KEY=$secret_key"
	echo "S3_STRANGE_ACCESS_KEY=$strange_access_key"
	echo "S3_STRANGE_SECRET_KEY=$strange_secret_key"
}

down() { # FOLDER
	[ -f "$1/pids" ] || exit 0
	while read -r pid program; do
		# The number may be somebody else's by now.
		tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q "^$program .*$1/ceph.conf" && kill -KILL "$pid" || true
	done <"$1/pids"
	rm -rf "$1"
}

case $1 in
up) up "$2" ;;
down) down "$2" ;;
kill) kill_one "$2" "$3" ;;
start) "run_$3" "$2" ;;
*) usage ;;
esac
