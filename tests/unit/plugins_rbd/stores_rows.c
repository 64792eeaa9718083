/* SPDX-License-Identifier: Apache-2.0
 *
 * Images of rbd in the suite that every store has to pass.
 */
#include <string.h>

#include "rbd_test.h"
#include "unit/plugins/stores_test.h"

#define FLAGS (TGTKIT_CAN_FLUSH | TGTKIT_CAN_DISCARD | TGTKIT_DISCARD_READS_ZERO | TGTKIT_CAN_ZERO)

/* An open and a close make a client of the cluster known to it, and forgotten: 1,000 of them would take minutes. */
#define OPENS 10

const struct store_row store_rows[] = {
    {"rbd",
     RBD_PLUGIN,
     NULL,
     FLAGS | TGTKIT_CAN_FUA | TGTKIT_RETAINS_DIRTY,
     STORE_PERSISTS,
     {{NULL, NULL}},
     .opens = OPENS},
    {"rbd, cached",
     RBD_PLUGIN,
     NULL,
     FLAGS | TGTKIT_VOLATILE_CACHE,
     STORE_PERSISTS,
     {{"cache", "writeback"}},
     .opens = OPENS},
};
const int store_row_count = sizeof(store_rows) / sizeof(store_rows[0]);

bool store_row_set_up(const struct store_row *row, struct fh_spec *spec)
{
	static struct fh_option options[MOST_OPTIONS + 2];

	memset(options, 0, sizeof(options));
	options[0] = (struct fh_option){"conf", cluster_conf()};
	memcpy(options + 1, row->options, sizeof(row->options));
	new_image_name();
	*spec = (struct fh_spec){.plugin = fh_load(row->plugin),
				 .path = image_name,
				 .options = options,
				 .flags = TGTKIT_OPEN_CREATE,
				 .size_bytes = STORE_SIZE_BYTES};
	return true;
}

void store_row_tear_down(void)
{
}
