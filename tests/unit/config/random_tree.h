/* SPDX-License-Identifier: Apache-2.0
 *
 * Random configurations that are right by the tables of keys: any part of the keys, any legal value of each, spelled in
 * any of the ways that are allowed.
 */
#ifndef TGTKIT_TESTS_UNIT_CONFIG_RANDOM_TREE_H
#define TGTKIT_TESTS_UNIT_CONFIG_RANDOM_TREE_H

#include <libconfig.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/keys.h"

struct random_tree {
	uint64_t state;		 /* of the random numbers */
	bool is_made;		 /* what the API made: no daemon group, names and tags of its own */
	bool has_control_bytes;	 /* texts may have them, as a file's may and JSON's may not */
	unsigned names, tags;	 /* given so far */
	unsigned char used[512]; /* each row of each table that has been filled, by random_tree_row */
	unsigned first_lun;	 /* number of the next LUN of the target that is being made */
};

/* Fills an initialised, empty tree. */
void random_tree_fill(struct random_tree *random, config_t *tree);

/* Calls `visit` with every row of every table, with its table and a number of its own. */
void random_tree_rows(void (*visit)(void *context, const struct conf_table *table, const struct conf_key *key,
				    unsigned number),
		      void *context);

#endif
