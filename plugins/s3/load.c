/* SPDX-License-Identifier: Apache-2.0
 *
 * What holds each chunk: found at open.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "volume.h"

#define MAP_READINGS 4u

static int newest_map(struct s3_volume *volume, const struct s3_session *session, uint32_t *generation, bool *exists,
		      struct tgtkit_error *error)
{
	struct s3_list list;
	int status = s3_objects_list_surely(session, "_map.", NULL, &list, error);

	*exists = false;
	*generation = 0;
	if (status != 0)
		return status;
	for (size_t i = 0; i < list.count; i++) {
		const struct s3_key key = s3_key_parse(list.objects[i].key + strlen(volume->client.address.prefix));

		if (key.kind == S3_KEY_MAP && (!*exists || key.generation > *generation)) {
			*generation = key.generation;
			*exists = true;
		}
	}
	s3_list_free(&list);
	return 0;
}

static int read_map(struct s3_volume *volume, const struct s3_session *session, uint32_t generation,
		    struct tgtkit_error *error)
{
	const uint64_t chunk_count = atomic_load(&volume->table.chunk_count);
	struct s3_text name = {0}, bytes = {0};
	int status = -EINVAL;

	s3_key_map(&name, generation);
	if (name.failed)
		return -ENOMEM;
	/* A map that was damaged on its way is read again. */
	for (unsigned i = 0; i < MAP_READINGS && status == -EINVAL; i++) {
		status = s3_object_get(session, name.data, &bytes, error);
		if (status != 0)
			break;
		s3_table_free(&volume->table);
		s3_table_init(&volume->table, chunk_count);
		status =
		    s3_map_decode(bytes.data, bytes.length, generation, volume->metadata.chunk_bytes, &volume->table);
	}
	if (status == -EINVAL || status == -ENOTSUP)
		snprintf(error->message, sizeof(error->message), "%s/%s%s is %s", volume->client.address.bucket,
			 volume->client.address.prefix, name.data,
			 status == -EINVAL ? "damaged" : "of a later version than this one knows");
	s3_text_free(&name);
	s3_text_free(&bytes);
	return status == -EINVAL ? -EIO : status;
}

/* Puts an object into the table unless a newer one is there.  What loses is garbage. */
static int apply(struct s3_volume *volume, struct s3_listed *object, const struct s3_key *key,
		 struct tgtkit_error *error)
{
	const struct s3_name old = s3_table_get(&volume->table, key->index);
	const struct s3_name name = {.kind = object->size_bytes == 0 ? S3_NAME_ZERO : S3_NAME_DATA,
				     .generation = key->generation,
				     .sequence = key->sequence};
	struct s3_text loser = {0};
	int status;

	if (object->size_bytes != 0 && object->size_bytes != volume->metadata.chunk_bytes) {
		snprintf(error->message, sizeof(error->message), "%.300s has a wrong size, %llu bytes", object->key,
			 (unsigned long long)object->size_bytes);
		return -EIO;
	}
	if (old.kind != S3_NAME_ABSENT && !s3_name_is_newer(&name, &old)) {
		if (old.generation != name.generation || old.sequence != name.sequence) {
			s3_volume_add_garbage(volume, object->key);
			object->key = NULL;
		}
		return 0;
	}
	status = s3_table_set(&volume->table, key->index, name);
	if (status != 0) {
		snprintf(error->message, sizeof(error->message), "%.300s is beyond the end of the volume", object->key);
		return -EIO;
	}
	if (old.kind != S3_NAME_ABSENT) {
		s3_text_add(&loser, volume->client.address.prefix);
		s3_key_chunk(&loser, key->index, &old);
		s3_volume_add_garbage(volume, loser.data);
	}
	return 0;
}

static int load_newer(struct s3_volume *volume, const struct s3_session *session, uint32_t generation, bool has_map,
		      struct tgtkit_error *error)
{
	const uint32_t limit = volume->is_read_only ? UINT32_MAX : volume->lease.generation;
	char start[16];
	struct s3_list list;
	int status;

	snprintf(start, sizeof(start), "g%08x", generation);
	status = s3_objects_list_surely(session, "g", has_map ? start : NULL, &list, error);
	if (status != 0)
		return status;
	for (size_t i = 0; i < list.count && status == 0; i++) {
		const struct s3_key key = s3_key_parse(list.objects[i].key + strlen(volume->client.address.prefix));

		if (key.kind != S3_KEY_CHUNK)
			continue;
		if (key.generation > limit) {
			snprintf(error->message, sizeof(error->message), "%.300s was written by a later owner",
				 list.objects[i].key);
			status = -EBUSY;
			break;
		}
		status = apply(volume, &list.objects[i], &key, error);
	}
	s3_list_free(&list);
	return status;
}

static int load_adopted(struct s3_volume *volume, const struct s3_session *session, struct tgtkit_error *error)
{
	struct s3_list list;
	int status = s3_objects_list_surely(session, "chunk_", NULL, &list, error);

	if (status != 0)
		return status;
	for (size_t i = 0; i < list.count && status == 0; i++) {
		const struct s3_key key = s3_key_parse(list.objects[i].key + strlen(volume->client.address.prefix));
		const uint64_t size_bytes = list.objects[i].size_bytes;

		if (key.kind != S3_KEY_ADOPTED || key.index >= atomic_load(&volume->table.chunk_count))
			continue;
		if (size_bytes > volume->metadata.chunk_bytes) {
			snprintf(error->message, sizeof(error->message), "%.300s is longer than a chunk",
				 list.objects[i].key);
			status = -EIO;
		} else {
			status =
			    s3_table_set(&volume->table, key.index,
					 (struct s3_name){.kind = S3_NAME_ADOPTED, .sequence = (uint32_t)size_bytes});
		}
	}
	s3_list_free(&list);
	return status;
}

int s3_volume_load(struct s3_volume *volume, const struct s3_session *session, struct tgtkit_error *error)
{
	uint32_t generation;
	bool has_map;
	int status;

	if (volume->metadata.format == 0)
		return load_adopted(volume, session, error);
	/* Beside an owner that is at work a map may vanish while a reader looks; then there is a newer one. */
	for (unsigned i = 0; i < MAP_READINGS; i++) {
		status = newest_map(volume, session, &generation, &has_map, error);
		if (status == 0 && has_map)
			status = read_map(volume, session, generation, error);
		if (status != -ENOENT || !volume->is_read_only)
			break;
	}
	if (status == 0)
		status = load_newer(volume, session, generation, has_map, error);
	return status;
}

int s3_volume_write_map(struct s3_volume *volume, const struct s3_session *session, struct tgtkit_error *error)
{
	struct s3_text name = {0}, bytes = {0};
	int status = -ENOMEM;

	s3_key_map(&name, volume->lease.generation);
	s3_map_encode(&volume->table, volume->lease.generation, volume->metadata.chunk_bytes, &bytes);
	if (!s3_volume_may_write(volume)) {
		snprintf(error->message, sizeof(error->message), "the lease ran out before the map was written");
		status = -EBUSY;
	} else if (!name.failed && !bytes.failed) {
		status = s3_object_put(session, name.data, bytes.data, bytes.length, false, error);
	}
	s3_text_free(&name);
	s3_text_free(&bytes);
	return status;
}
