/* SPDX-License-Identifier: Apache-2.0
 *
 * tgtkit-s3 check: every object of a volume accounted for.  Nothing is deleted unless the volume is free: --clean takes
 * its lease first, as an owner would.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

struct findings {
	uint64_t in_force, zero, garbage, garbage_bytes, foreign, missing, wrong;
	uint64_t seen; /* of those in force */
	char *keys[S3_DELETE_KEYS];
	size_t key_count;
	bool failed;
};

static void delete_some(struct tool *tool, struct findings *findings)
{
	struct tgtkit_error error;

	if (findings->key_count > 0 && !findings->failed) {
		if (!s3_volume_may_write(tool->volume)) {
			snprintf(error.message, sizeof(error.message), "the lease ran out; run it again");
			findings->failed = true;
		} else if (s3_objects_delete(&tool->session, findings->keys, findings->key_count, &error) != 0) {
			findings->failed = true;
		}
		if (findings->failed)
			tool_fail(&error);
	}
	for (size_t i = 0; i < findings->key_count; i++)
		free(findings->keys[i]);
	findings->key_count = 0;
}

static void note_garbage(struct tool *tool, struct findings *findings, struct s3_listed *object)
{
	findings->garbage++;
	findings->garbage_bytes += object->size_bytes;
	if (!tool->clean)
		return;
	findings->keys[findings->key_count++] = object->key;
	object->key = NULL;
	if (findings->key_count < S3_DELETE_KEYS)
		return;
	delete_some(tool, findings);
	/* A long clean-up keeps its right. */
	s3_lease_renew(&tool->session, &tool->volume->lease, &(struct tgtkit_error){.message = ""});
}

static void note_chunk(struct tool *tool, struct findings *findings, struct s3_listed *object, const struct s3_key *key)
{
	const struct s3_volume *volume = tool->volume;
	const struct s3_name name = s3_table_get(&volume->table, key->index);
	const bool is_adopted = key->kind == S3_KEY_ADOPTED;
	const uint64_t expected = name.kind == S3_NAME_DATA	 ? volume->metadata.chunk_bytes
				  : name.kind == S3_NAME_ADOPTED ? name.sequence
								 : 0;

	if (name.kind == S3_NAME_ABSENT || (name.kind == S3_NAME_ADOPTED) != is_adopted ||
	    (!is_adopted && (name.generation != key->generation || name.sequence != key->sequence))) {
		note_garbage(tool, findings, object);
		return;
	}
	findings->seen++;
	if (object->size_bytes == expected)
		return;
	printf("%s: %" PRIu64 " bytes, %" PRIu64 " expected\n", object->key, object->size_bytes, expected);
	findings->wrong++;
}

static void note(struct tool *tool, struct findings *findings, struct s3_listed *object)
{
	const struct s3_key key = s3_key_parse(object->key + strlen(tool->volume->client.address.prefix));

	switch (key.kind) {
	case S3_KEY_CHUNK:
	case S3_KEY_ADOPTED:
		note_chunk(tool, findings, object, &key);
		break;
	case S3_KEY_OTHER:
		printf("%s: not an object of the volume\n", object->key);
		findings->foreign++;
		break;
	default:
		break;
	}
}

static void count_table(const struct s3_table *table, struct findings *findings)
{
	for (uint64_t i = s3_table_next(table, 0); i != UINT64_MAX; i = s3_table_next(table, i + 1)) {
		findings->in_force++;
		findings->zero += s3_table_get(table, i).kind == S3_NAME_ZERO;
	}
}

static int walk(struct tool *tool, struct findings *findings, struct tgtkit_error *error)
{
	struct s3_list list;
	int status = s3_objects_list_surely(&tool->session, "", NULL, &list, error);

	if (status != 0)
		return status;
	count_table(&tool->volume->table, findings);
	for (size_t i = 0; i < list.count; i++) {
		note(tool, findings, &list.objects[i]);
		if (i % 1000 == 0)
			tool_progress(tool, "checking", i, list.count);
	}
	delete_some(tool, findings);
	tool_progress(tool, "checking", list.count, list.count);
	s3_list_free(&list);
	findings->missing = findings->in_force - findings->seen;
	return 0;
}

static int prepare(struct tool *tool, struct tgtkit_error *error)
{
	struct s3_volume *volume = tool->volume;
	const struct s3_lease_args args = {.uuid = volume->metadata.uuid,
					   .state_dir = "",
					   .device_bytes = volume->metadata.device_bytes,
					   .lease_s = volume->settings.lease_s,
					   .take_over = false};
	int status = 0;

	volume->is_read_only = !tool->clean;
	if (tool->clean && volume->metadata.format == 0) {
		snprintf(error->message, sizeof(error->message), "--clean works on converted volumes only");
		return -EINVAL;
	}
	if (tool->clean)
		status = s3_lease_acquire(&tool->session, &args, &volume->lease, error);
	if (status == -EOPNOTSUPP)
		snprintf(error->message, sizeof(error->message),
			 "the server does not honour If-None-Match: nothing is deleted");
	if (status == 0)
		status = s3_volume_load(volume, &tool->session, error);
	if (status == 0 && tool->clean)
		status = s3_lease_renew(&tool->session, &volume->lease, error);
	if (status == 0 && tool->clean)
		status = s3_volume_write_map(volume, &tool->session, error);
	return status;
}

int tool_check(struct tool *tool)
{
	struct findings *findings = calloc(1, sizeof(*findings));
	struct tgtkit_error error = {.message = "out of memory"};
	int status = tool_connect(tool, tool->path);
	bool is_good;

	if (findings == NULL || status != EXIT_SUCCESS) {
		free(findings);
		return EXIT_FAILURE;
	}
	if (s3_volume_read_metadata(tool->volume, &tool->session, &error) != 0 || prepare(tool, &error) != 0 ||
	    walk(tool, findings, &error) != 0)
		status = tool_fail(&error);
	s3_lease_release(&tool->session, &tool->volume->lease, &error);
	if (status == EXIT_SUCCESS)
		printf("%" PRIu64 " chunks (%" PRIu64 " of zeros), %" PRIu64 " missing, %" PRIu64
		       " of a wrong size, %" PRIu64 " foreign objects, %" PRIu64 " objects of garbage (%" PRIu64
		       " bytes)%s\n",
		       findings->in_force, findings->zero, findings->missing, findings->wrong, findings->foreign,
		       findings->garbage, findings->garbage_bytes,
		       tool->clean && !findings->failed && findings->garbage > 0 ? ", deleted" : "");
	is_good = status == EXIT_SUCCESS && findings->missing == 0 && findings->wrong == 0 && !findings->failed;
	free(findings);
	return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
