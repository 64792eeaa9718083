/* SPDX-License-Identifier: Apache-2.0
 *
 * The suite that every store has to pass: stores_test.c over the rows of a table.  A program of tests has the table,
 * and says how a row becomes a store; a plugin that is added there is one row more.
 */
#ifndef TGTKIT_TESTS_STORES_TEST_H
#define TGTKIT_TESTS_STORES_TEST_H

#include "plugins_test.h"

/* What a store has to have. */
#define STORE_SIZE_BYTES (1u << 20)

enum {
	STORE_FORGETS = 1u << 0,    /* what is written reads back as zeros */
	STORE_PERSISTS = 1u << 1,   /* what is written is there after a reopen */
	STORE_SERVES_ANY = 1u << 2, /* does not know of read-only: the host sends it no write then */
	STORE_TRAITS = 8,	    /* the first bit that is the program's own */
};

struct store_row {
	const char *name, *plugin, *path;
	uint32_t expected_flags; /* TGTKIT_CAN_..., at least */
	unsigned traits;	 /* STORE_... and the program's own */
	struct fh_option options[8];
	unsigned
	    opens; /* in the test for leaks, unless the environment has TGTKIT_LONG; 0: as many as there is time for */
	/* From true to false, what is in `fails` (1 << TGTKIT_READ and so on) fails.  NULL: nothing can be made fail.
	 */
	void (*set_broken)(bool broken);
	uint32_t fails;
};

/* Of the program. */
extern const struct store_row store_rows[];
extern const int store_row_count;
/* Makes what the row serves, empty, and the specification that opens it.  false: it is not to be had here. */
bool store_row_set_up(const struct store_row *row, struct fh_spec *spec);
/* After a test that went well; one that fails ends with its process. */
void store_row_tear_down(void);

/* In a scratch folder per test. */
TCase *stores_tests(void);
TCase *stores_opening_tests(void);

#endif
