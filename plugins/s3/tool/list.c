/* SPDX-License-Identifier: Apache-2.0
 *
 * tgtkit-s3 list: the volumes below a prefix.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* Looks at one prefix: is it a volume?  `relative` is "" or ends in a slash. */
static int show(struct tool *tool, const char *relative)
{
	struct s3_text name = {0}, json = {0};
	struct s3_metadata metadata;
	struct tgtkit_error error;
	char reason[128];
	int status;

	s3_text_format(&name, "%s%s", relative, S3_KEY_METADATA_NAME);
	status = name.failed ? -ENOMEM : s3_object_get_surely(&tool->session, name.data, &json, &error);
	if (status == 0 && s3_metadata_decode(json.data, json.length, &metadata, reason) == 0)
		printf("%-40s %-7s %14" PRIu64 " %9u  %s\n", relative[0] == '\0' ? "." : relative,
		       metadata.format == 0 ? "gotgt" : "2", metadata.device_bytes, metadata.chunk_bytes,
		       metadata.uuid);
	s3_text_free(&name);
	s3_text_free(&json);
	return status == -ENOENT || status == 0 ? EXIT_SUCCESS : tool_fail(&error);
}

int tool_list(struct tool *tool)
{
	struct tgtkit_error error;
	struct s3_list list;
	size_t prefix_length;
	int status = tool_connect(tool, tool->path);

	if (status != EXIT_SUCCESS)
		return status;
	if (s3_objects_list(&tool->session, "", NULL, "/", 0, &list, &error) != 0)
		return tool_fail(&error);
	prefix_length = strlen(tool->volume->client.address.prefix);
	printf("%-40s %-7s %14s %9s  %s\n", "VOLUME", "FORMAT", "BYTES", "CHUNK", "UUID");
	status = show(tool, "");
	for (size_t i = 0; i < list.prefix_count && status == EXIT_SUCCESS; i++)
		status = show(tool, list.prefixes[i] + prefix_length);
	s3_list_free(&list);
	return status;
}
