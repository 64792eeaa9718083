/* SPDX-License-Identifier: Apache-2.0
 *
 * tgtkit-s3 convert: a volume in gotgt's layout becomes one of format 2.  Its objects stay where they are, named by a
 * map as generation 0; only the map and, last, `_metadata` are written, so that an interrupted conversion changes
 * nothing.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool.h"

#define STEPS_AFTER_LIST 2u /* the map, the metadata */

static int write_map(struct tool *tool, struct tgtkit_error *error)
{
	struct s3_text name = {0}, bytes = {0};
	int status = -ENOMEM;

	s3_key_map(&name, 0);
	s3_map_encode(&tool->volume->table, 0, tool->volume->metadata.chunk_bytes, &bytes);
	if (!name.failed && !bytes.failed)
		status = s3_object_put(&tool->session, name.data, bytes.data, bytes.length, false, error);
	s3_text_free(&name);
	s3_text_free(&bytes);
	return status;
}

static int write_metadata(struct tool *tool, struct tgtkit_error *error)
{
	struct s3_metadata *metadata = &tool->volume->metadata;
	const time_t now = time(NULL);
	struct s3_text json = {0};
	struct tm parts;
	int status = -ENOMEM;

	metadata->format = S3_FORMAT;
	s3_make_uuid(metadata->uuid);
	gmtime_r(&now, &parts);
	strftime(metadata->created, sizeof(metadata->created), "%Y-%m-%dT%H:%M:%SZ", &parts);
	s3_metadata_encode(metadata, &json);
	if (!json.failed)
		status = s3_object_put(&tool->session, S3_KEY_METADATA_NAME, json.data, json.length, false, error);
	s3_text_free(&json);
	return status;
}

/* The list of the objects is what takes time; keys come in the order of the chunks. */
static void show_listed(void *context, const struct s3_list *list)
{
	const struct tool *tool = context;
	const uint64_t total = atomic_load(&tool->volume->table.chunk_count);
	struct s3_key last = {0};

	if (list->count > 0)
		last = s3_key_parse(list->objects[list->count - 1].key + strlen(tool->volume->client.address.prefix));
	tool_progress(tool, "converting", last.index < total ? last.index : total, total + STEPS_AFTER_LIST);
}

int tool_convert(struct tool *tool)
{
	struct tgtkit_error error = {.message = "out of memory"};
	int status = tool_connect(tool, tool->path);
	uint64_t total;

	if (status != EXIT_SUCCESS)
		return status;
	tool->volume->is_read_only = true;
	if (s3_volume_read_metadata(tool->volume, &tool->session, &error) != 0)
		return tool_fail(&error);
	if (tool->volume->metadata.format != 0) {
		fprintf(stderr, "tgtkit-s3: %s is of format 2 already\n", tool->path);
		return EXIT_SUCCESS;
	}
	total = atomic_load(&tool->volume->table.chunk_count) + STEPS_AFTER_LIST;
	tool->session.listed = show_listed;
	tool->session.context = tool;
	status = s3_volume_load(tool->volume, &tool->session, &error);
	if (status == 0)
		status = write_map(tool, &error);
	tool_progress(tool, "converting", total - 1, total);
	if (status == 0)
		status = write_metadata(tool, &error);
	if (status != 0)
		return tool_fail(&error);
	tool_progress(tool, "converting", total, total);
	return EXIT_SUCCESS;
}
