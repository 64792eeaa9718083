/* SPDX-License-Identifier: Apache-2.0
 *
 * What a unit is told: its URI and its options.
 */
#ifndef TGTKIT_PLUGINS_REMOTE_SETTINGS_H
#define TGTKIT_PLUGINS_REMOTE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include <tgtkit/plugin.h>

#define REMOTE_CONNECTION_LIMIT 16

struct remote_settings {
	char *uri; /* nbd://, nbds://, nbd+unix:// or nbds+unix://, without the plugin's prefix */
	bool tls;
	unsigned connections;
	uint64_t timeout_ns;
	char *tls_certificates, *tls_psk_file, *tls_username; /* NULL: not given */
	uint64_t replay_bytes;
};

extern const struct tgtkit_option remote_options[];

/* Reads and checks everything that can be checked without the server.  0 or a negative errno with `error`; `settings`
 * needs no freeing after a failure. */
int remote_settings_read(struct remote_settings *settings, const struct tgtkit_open_args *args,
			 struct tgtkit_error *error);
void remote_settings_free(struct remote_settings *settings);

/* Fills `error` and returns -errno_value. */
int remote_fail(struct tgtkit_error *error, int errno_value, const char *format, ...) TGTKIT_PRINTF(3, 4);

#endif
