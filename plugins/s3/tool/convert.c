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
#include <time.h>

#include "tool.h"

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

int tool_convert(struct tool *tool)
{
	enum { STEPS = 3 };
	struct tgtkit_error error = {.message = "out of memory"};
	int status = tool_connect(tool, tool->path);

	if (status != EXIT_SUCCESS)
		return status;
	tool->volume->is_read_only = true;
	if (s3_volume_read_metadata(tool->volume, &tool->session, &error) != 0)
		return tool_fail(&error);
	if (tool->volume->metadata.format != 0) {
		fprintf(stderr, "tgtkit-s3: %s is of format 2 already\n", tool->path);
		return EXIT_SUCCESS;
	}
	tool_progress(tool, "converting", 0, STEPS);
	status = s3_volume_load(tool->volume, &tool->session, &error);
	tool_progress(tool, "converting", 1, STEPS);
	if (status == 0)
		status = write_map(tool, &error);
	tool_progress(tool, "converting", 2, STEPS);
	if (status == 0)
		status = write_metadata(tool, &error);
	if (status != 0)
		return tool_fail(&error);
	tool_progress(tool, "converting", STEPS, STEPS);
	return EXIT_SUCCESS;
}
