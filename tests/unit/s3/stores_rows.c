/* SPDX-License-Identifier: Apache-2.0
 *
 * Volumes of s3 in the suite that every store has to pass.
 */
#include <config.h>

#include <stdio.h>

#include "lab.h"
#include "unit/plugins/stores_test.h"

#define FLAGS                                                                                                          \
	(TGTKIT_CAN_FLUSH | TGTKIT_CAN_FUA | TGTKIT_CAN_DISCARD | TGTKIT_DISCARD_READS_ZERO | TGTKIT_CAN_ZERO |        \
	 TGTKIT_CAN_EXTENTS | TGTKIT_VOLATILE_CACHE | TGTKIT_RETAINS_DIRTY)

/* An open and a close are some twenty requests to the server: 1,000 of them would take a minute. */
#define OPENS 40

const struct store_row store_rows[] = {
    {"s3", S3_PLUGIN, NULL, FLAGS, STORE_PERSISTS, {{NULL, NULL}}, .opens = OPENS},
    {"s3, little cache", S3_PLUGIN, NULL, FLAGS, STORE_PERSISTS, {{"cache_size", "1M"}}, .opens = OPENS},
};
const int store_row_count = sizeof(store_rows) / sizeof(store_rows[0]);

bool store_row_set_up(const struct store_row *row, struct fh_spec *spec)
{
	static struct lab_volume volume;

	lab_volume(&volume, STORE_SIZE_BYTES);
	for (unsigned i = 0; row->options[i].key != NULL; i++)
		lab_option(&volume, row->options[i].key, row->options[i].value);
	*spec = volume.spec;
	spec->plugin = fh_load(row->plugin);
	spec->flags = TGTKIT_OPEN_CREATE;
	return true;
}

void store_row_tear_down(void)
{
}

Suite *stores_suite(void)
{
	Suite *suite = suite_create("stores");
	TCase *cases[] = {stores_tests(), stores_opening_tests()};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tcase_add_unchecked_fixture(cases[i], lab_set_up, NULL);
		suite_add_tcase(suite, cases[i]);
	}
	return suite;
}
