#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
#     header.sh first|next PLUGIN.H    the header of another version of the plugin ABI, on stdout
#
# first: 1.1, with what is there now.  next: 1.9, of which every structure that starts with its size has grown.
set -eu
case $1 in
first) sed 's/^#define TGTKIT_ABI_MINOR .*/#define TGTKIT_ABI_MINOR 1/' "$2" ;;
next)
	sed 's/^#define TGTKIT_ABI_MINOR .*/#define TGTKIT_ABI_MINOR 9/
/^struct tgtkit_\(plugin\|blocking\|async\|host\) {$/,/^};$/ s/^};$/\tint (*later)(void); void *later_still[3];\n};/' "$2" ;;
esac
