#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# <tgtkit/plugin.h> compiles without a warning as the languages that it promises, and so do plugins that use it; a plugin
# of the tree exports its entry point and nothing else.
# Set by header_test.c: CC, CXX, SRCDIR (of the tree), FILE_PLUGIN, NULL_PLUGIN.
set -eu

warnings='-Wall -Wextra -Werror'
failures=0

compiles() {
	printf '%s\n' "$*"
	"$@" -I"$SRCDIR/api" $warnings -fsyntax-only || failures=$((failures + 1))
}

consumer=$SRCDIR/tests/unit/plugins/header_consumer.c
for standard in c99 c11 c17; do
	compiles $CC -std=$standard -pedantic -Wshadow "$consumer"
	compiles $CC -std=$standard -pedantic "$SRCDIR/tests/plugins/rogue.c"
done
compiles $CC -std=c99 -pedantic "$SRCDIR/tests/plugins/ramdisk.c"
for standard in c++11 c++17; do
	compiles $CXX -std=$standard -pedantic -x c++ "$consumer"
	compiles $CXX -std=$standard -pedantic -x c++ "$SRCDIR/tests/plugins/rogue.c"
done

for plugin in "$FILE_PLUGIN" "$NULL_PLUGIN"; do
	exported=$(nm -D --defined-only "$plugin" | awk '{ print $3 }')
	if [ "$exported" != tgtkit_plugin_v1 ]; then
		printf '%s exports more than tgtkit_plugin_v1: %s\n' "$plugin" "$exported"
		failures=$((failures + 1))
	fi
done

lines=$(wc -l <"$SRCDIR/tests/plugins/ramdisk.c")
if [ "$lines" -gt 60 ]; then
	printf 'ramdisk.c has %s lines; a useful plugin is to fit in 60\n' "$lines"
	failures=$((failures + 1))
fi
exit "$failures"
