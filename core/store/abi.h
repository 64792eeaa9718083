/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin's descriptor as this host knows one, whatever version of the header the plugin was built with (the rules of
 * growth in <tgtkit/plugin.h>).
 */
#ifndef TGTKIT_STORE_ABI_H
#define TGTKIT_STORE_ABI_H

#include <tgtkit/plugin.h>

/* A descriptor and its tables at their full length here: what the plugin does not know of is zero. */
struct store_abi_descriptor {
	struct tgtkit_plugin plugin; /* its `blocking` or `async` is one of the next, if the plugin has it */
	struct tgtkit_blocking blocking;
	struct tgtkit_async async;
};

/* 0, or -EINVAL with one line in `error`.  Nothing but versions and sizes is judged; what the descriptor points to
 * still belongs to the plugin. */
int store_abi_take(const struct tgtkit_plugin *from, struct store_abi_descriptor *to, char *error, size_t error_bytes);

#endif
