/* SPDX-License-Identifier: Apache-2.0
 *
 * How much the daemon's log says.
 */
#include "client.h"
#include "commands.h"
#include "show.h"

int log_show(const struct arguments *arguments, const char *const *words, size_t count)
{
	(void)words;
	(void)count;
	return show_object(arguments, client_request("GET", NULL, "/v1/log"));
}

int log_set_level(const struct arguments *arguments, const char *const *words, size_t count)
{
	json_t *level = json_string(words[0]);

	(void)count;
	if (!level)
		client_fail("level: \"%s\" is no UTF-8", words[0]);
	return show_done(arguments, client_request("PATCH", json_pack("{so}", "level", level), "/v1/log"));
}
