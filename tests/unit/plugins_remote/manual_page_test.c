/* SPDX-License-Identifier: Apache-2.0
 *
 * The manual page's backend in Python is a disk.  (That its OPTIONS are the plugin's is for
 * tests/unit/plugins/manual_test.c.)
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>

#include "remote_test.h"

static unsigned char data[256 * KIB], seen[256 * KIB];

/* The lines from "#!" to ".RE", as nroff would show them. */
static void extract_backend(void)
{
	shell("sed -n '/^#!/,/^\\.RE/p' " MANUAL " | sed '/^\\.RE/d; s/\\\\-/-/g' >mydisk.py && test -s mydisk.py && "
	      "test $(wc -l <mydisk.py) -le 35");
}

START_TEST(the_backend_of_the_manual_page_is_a_disk)
{
	struct fh_spec spec = {.plugin = fh_load(REMOTE_PLUGIN), .logical_block_bytes = 4096};

	extract_backend();
	serve("nbdkit", "-f", "python", in_scratch("mydisk.py"));
	spec.path = server.uri;
	ck_status(fh_open(&spec, &unit), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 1u << 30);
	ck_assert_uint_eq(fh_capabilities(unit)->offset_alignment_bytes, 4096);
	fill(data, sizeof(data), 1);
	ck_status(fh_write(unit, data, sizeof(data), 4096, 0), 0);
	ck_status(fh_zero(unit, 12288, 4096, TGTKIT_REQUEST_MAY_UNMAP), 0);
	memset(data + 8192, 0, 4096);
	ck_status(fh_read(unit, seen, sizeof(seen), 4096), 0);
	ck_assert_int_eq(memcmp(seen, data, sizeof(data)), 0);
	ck_status(fh_discard(unit, 0, 1u << 20, 0), 0);
	ck_status(fh_flush(unit), 0);
	fh_close(unit);
}
END_TEST

TCase *manual_page_tests(void)
{
	TCase *tests = make_case("manual page");

	tcase_add_test(tests, the_backend_of_the_manual_page_is_a_disk);
	return tests;
}
