# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
# What quickstart and test share; sourced by both.

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
jobs=$(nproc)

# Header files and folders that others may write to would make the daemon refuse the plugins in them.
umask 022

build_packages=(build-essential autoconf automake libtool pkg-config libconfig-dev libssl-dev libisal-dev libsystemd-dev
	liburing-dev libmicrohttpd-dev libjansson-dev libcurl4-openssl-dev libsmartcols-dev)

say() {
	printf '%s\n' "$*"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

is_installed() {
	[[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# Installs those of the packages that are missing; asks for nothing where none is.
install_packages() {
	local package missing=() as_root=()

	if ! command -v dpkg-query >/dev/null; then
		say "This is no Debian: see to it that the equivalents of these are installed: $*"
		return
	fi
	for package; do
		is_installed "$package" || missing+=("$package")
	done
	((${#missing[@]})) || return 0
	if ((EUID != 0)); then
		command -v sudo >/dev/null || die "these packages are missing, and there is no sudo: ${missing[*]}"
		as_root=(sudo)
	fi
	say "Installing ${missing[*]}"
	"${as_root[@]}" apt-get update -q
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# Makes configure, unless it is newer than all that it is made from.
make_configure() {
	cd "$source_dir" || return
	[[ ! -e config.status ]] || die "the source tree is configured itself, so it cannot be built elsewhere: run 'make distclean' in it first"
	if [[ ! -x configure || ! -e Makefile.in || -n $(find configure.ac Makefile.am api cli core plugins docs tests -name 'configure.ac' \
		-newer Makefile.in -o -name 'Makefile.am' -newer Makefile.in -o -name 'Makefile.inc' -newer Makefile.in) ]]; then
		autoreconf -fi
	fi
}

# configure_in FOLDER ARGUMENTS: configures there, unless it was with the same arguments.
configure_in() {
	local folder=$1 stamp=$1/.configured
	shift

	mkdir -p "$folder"
	if [[ -e $folder/config.status && -e $stamp && $(<"$stamp") == "$*" && ! $source_dir/configure -nt $folder/config.status ]]; then
		return
	fi
	(cd "$folder" && "$source_dir/configure" "$@") || return
	printf '%s' "$*" >"$stamp"
}
