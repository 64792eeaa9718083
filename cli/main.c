/* SPDX-License-Identifier: Apache-2.0
 *
 * tgtkit: the command that talks to the daemon.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "client.h"
#include "commands.h"

int main(int argc, char **argv)
{
	struct arguments arguments;
	int status;

	curl_global_init(CURL_GLOBAL_NOTHING);
	arguments_parse(argc, argv, &arguments);
	status = commands_run(&arguments);
	json_decref(arguments.options);
	json_decref(arguments.groups);
	json_decref(arguments.luns);
	curl_global_cleanup();
	if (fflush(stdout) || ferror(stdout))
		client_fail("the output cannot be written: %m");
	return status;
}
