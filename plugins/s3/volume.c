/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "credentials.h"
#include "keeper.h"
#include "log.h"
#include "volume.h"

#define CLOSE_LIMIT_NS (20 * S3_SECOND_NS)

static int say(struct tgtkit_error *error, int status, const char *what)
{
	snprintf(error->message, sizeof(error->message), "%s", what);
	return status;
}

/* ---- Connection
 * ------------------------------------------------------------------------------------------------------ */

int s3_volume_connect(const struct tgtkit_open_args *args, struct s3_volume **out, struct tgtkit_error *error)
{
	struct s3_volume *volume = calloc(1, sizeof(*volume));
	struct s3_credentials *credentials;
	int status;

	if (volume == NULL)
		return say(error, -ENOMEM, "out of memory");
	volume->unit = args->unit;
	volume->sequence = 1;
	volume->lease.lock_fd = -1;
	s3_client_init(&volume->client);
	volume->client.unit = args->unit;
	volume->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	status = volume->event_fd < 0
		     ? say(error, -errno, "no eventfd")
		     : s3_settings_take(args->path, args->values, args->value_count, &volume->settings, error);
	if (status == 0)
		status = s3_region_find(&volume->settings);
	if (status == 0)
		status = s3_settings_apply(&volume->settings, &volume->client, error);
	if (status == 0)
		status = s3_credentials_find(&volume->settings, &credentials, error);
	if (status != 0) {
		s3_volume_discard(volume);
		return status;
	}
	s3_client_set_credentials(&volume->client, credentials);
	*out = volume;
	return 0;
}

void s3_volume_discard(struct s3_volume *volume)
{
	for (size_t i = 0; i < volume->garbage_count; i++)
		free(volume->garbage[i]);
	free(volume->garbage);
	s3_lease_close(&volume->lease);
	s3_table_free(&volume->table);
	s3_settings_free(&volume->settings);
	s3_client_free(&volume->client);
	if (volume->event_fd >= 0)
		close(volume->event_fd);
	free(volume);
}

void s3_volume_add_garbage(struct s3_volume *volume, char *key)
{
	if (volume->garbage_count == volume->garbage_capacity && key != NULL) {
		const size_t capacity = volume->garbage_capacity == 0 ? 64 : volume->garbage_capacity * 2;
		char **garbage =
		    capacity > S3_GARBAGE_LIMIT ? NULL : realloc(volume->garbage, capacity * sizeof(*garbage));

		if (garbage == NULL) {
			free(key);
			return;
		}
		volume->garbage = garbage;
		volume->garbage_capacity = capacity;
	}
	if (key != NULL)
		volume->garbage[volume->garbage_count++] = key;
}

/* ---- Metadata
 * ----------------------------------------------------------------------------------------------------------- */

static void take_metadata(struct s3_volume *volume)
{
	atomic_store(&volume->device_bytes, volume->metadata.device_bytes);
	atomic_store(&volume->table.chunk_count,
		     (volume->metadata.device_bytes + volume->metadata.chunk_bytes - 1) / volume->metadata.chunk_bytes);
}

/* Of a volume that was ever opened for writing. */
static int read_size(struct s3_volume *volume, const struct s3_session *session, struct tgtkit_error *error)
{
	uint64_t device_bytes = 0;
	int status = volume->metadata.format == 0 ? 0 : s3_lease_find_size(session, &device_bytes, error);

	volume->stated_bytes = volume->metadata.device_bytes;
	if (device_bytes != 0)
		volume->metadata.device_bytes = device_bytes;
	take_metadata(volume);
	return status;
}

int s3_volume_read_metadata(struct s3_volume *volume, const struct s3_session *session, struct tgtkit_error *error)
{
	struct s3_text json = {0};
	char reason[128];
	int status = s3_object_get_surely(session, S3_KEY_METADATA_NAME, &json, error);

	if (status == 0) {
		status = s3_metadata_decode(json.data, json.length, &volume->metadata, reason);
		if (status != 0)
			snprintf(error->message, sizeof(error->message), "%s/%s_metadata is not that of a volume: %s",
				 volume->client.address.bucket, volume->client.address.prefix, reason);
		else
			status = read_size(volume, session, error);
	}
	s3_text_free(&json);
	return status;
}

static int write_metadata(struct s3_volume *volume, const struct s3_session *session, bool is_new,
			  struct tgtkit_error *error)
{
	struct s3_text json = {0};
	int status;

	s3_metadata_encode(&volume->metadata, &json);
	status = json.failed ? say(error, -ENOMEM, "out of memory")
			     : s3_object_put(session, S3_KEY_METADATA_NAME, json.data, json.length, is_new, error);
	s3_text_free(&json);
	return status;
}

/* A volume whose `_metadata` was lost is not made anew over its data. */
static int refuse_leftovers(const struct s3_session *session, struct tgtkit_error *error)
{
	static const char *const starts[] = {"g", "chunk_", "_map.", "_lease."};
	struct s3_list list;
	int status = 0;

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]) && status == 0; i++) {
		status = s3_objects_list(session, starts[i], NULL, NULL, 1, &list, error);
		if (status != 0)
			break;
		if (list.count > 0 &&
		    s3_key_parse(list.objects[0].key + strlen(session->client->address.prefix)).kind != S3_KEY_OTHER) {
			snprintf(
			    error->message, sizeof(error->message),
			    "there is no _metadata, but %.300s is there, of a volume: remove it or use another prefix",
			    list.objects[0].key);
			status = -ENOTEMPTY;
		}
		s3_list_free(&list);
	}
	return status;
}

static int create(struct s3_volume *volume, const struct s3_session *session, uint64_t size_bytes,
		  struct tgtkit_error *error)
{
	const time_t now = time(NULL);
	const char *objection;
	struct tm parts;
	int status;

	volume->metadata = (struct s3_metadata){
	    .format = S3_FORMAT, .device_bytes = size_bytes, .chunk_bytes = volume->settings.chunk_bytes};
	objection = s3_metadata_objection(&volume->metadata);
	if (objection != NULL)
		return say(error, -EINVAL, objection);
	status = refuse_leftovers(session, error);
	if (status != 0)
		return status;
	s3_make_uuid(volume->metadata.uuid);
	gmtime_r(&now, &parts);
	strftime(volume->metadata.created, sizeof(volume->metadata.created), "%Y-%m-%dT%H:%M:%SZ", &parts);
	status = write_metadata(volume, session, true, error);
	/* Somebody else's, or our own attempt whose answer was lost. */
	if (status == -EEXIST)
		return s3_volume_read_metadata(volume, session, error);
	take_metadata(volume);
	return status;
}

static int find_or_create(struct s3_volume *volume, const struct s3_session *session,
			  const struct tgtkit_open_args *args, struct tgtkit_error *error)
{
	const bool may_create = (args->flags & TGTKIT_OPEN_CREATE) && !(args->flags & TGTKIT_OPEN_READ_ONLY);
	int status = s3_volume_read_metadata(volume, session, error);

	if (status == -ENOENT && may_create)
		status = create(volume, session, args->size_bytes, error);
	else if (status == -ENOENT)
		snprintf(error->message, sizeof(error->message),
			 "there is no volume at %s/%s: to make one, open it with create and a size",
			 volume->client.address.bucket, volume->client.address.prefix);
	if (status == 0 && args->logical_block_bytes != 0 && volume->metadata.device_bytes < args->logical_block_bytes)
		return say(error, -EINVAL, "the volume is smaller than a block");
	return status;
}

int s3_volume_grow(struct s3_volume *volume, uint64_t size_bytes, struct tgtkit_error *error)
{
	struct s3_metadata old = volume->metadata;
	struct s3_session session = {.client = &volume->client, .deadline_ns = s3_now_ns() + CLOSE_LIMIT_NS};
	int status;

	if (volume->is_read_only)
		return say(error, -EROFS, "the volume is read-only");
	if (size_bytes < old.device_bytes)
		return say(error, -EOPNOTSUPP, "a volume on S3 cannot be made smaller");
	if (!s3_volume_may_write(volume))
		return say(error, -ESHUTDOWN, "this host does not hold the volume's lease at the moment");
	if (size_bytes % S3_GRANULE_BYTES != 0 || size_bytes > S3_DEVICE_BYTES_MAXIMUM)
		return say(error, -EINVAL, "the size must be a multiple of 512 bytes, and at most 1 EiB");
	session.http = s3_http_new(NULL);
	if (session.http == NULL)
		return say(error, -ENOMEM, "out of memory");
	volume->metadata.device_bytes = size_bytes;
	status = write_metadata(volume, &session, false, error);
	if (status == 0)
		status = s3_lease_resize(&session, &volume->lease, size_bytes, error);
	s3_http_free(session.http);
	if (status == 0)
		take_metadata(volume);
	else
		volume->metadata = old;
	return status;
}

/* ---- Opening and closing
 * ------------------------------------------------------------------------------------------------ */

/* What an earlier owner left half done, or a fenced one wrote late, is put right. */
static int settle_size(struct s3_volume *volume, const struct s3_session *session, struct tgtkit_error *error)
{
	volume->metadata.device_bytes = volume->lease.record.device_bytes;
	take_metadata(volume);
	return volume->metadata.device_bytes == volume->stated_bytes ? 0
								     : write_metadata(volume, session, false, error);
}

static int become_owner(struct s3_volume *volume, const struct s3_session *session, const char *state_dir,
			struct tgtkit_error *error)
{
	const struct s3_lease_args args = {.unit = volume->unit,
					   .uuid = volume->metadata.uuid,
					   .state_dir = state_dir == NULL ? "" : state_dir,
					   .device_bytes = volume->metadata.device_bytes,
					   .lease_s = volume->settings.lease_s,
					   .take_over = volume->settings.take_over};
	int status = s3_lease_acquire(session, &args, &volume->lease, error);

	if (status == -EOPNOTSUPP) {
		s3_log(volume->unit, TGTKIT_LOG_WARNING,
		       "%s does not honour If-None-Match, which is what keeps a second writer out: the volume is "
		       "read-only",
		       volume->client.address.origin);
		volume->is_read_only = true;
		return 0;
	}
	return status != 0 ? status : settle_size(volume, session, error);
}

static void forget_older(struct s3_volume *volume, const struct s3_session *session)
{
	const size_t prefix_length = strlen(volume->client.address.prefix);
	struct s3_list list;

	if (s3_objects_list(session, "_", NULL, NULL, 0, &list, NULL) != 0)
		return;
	for (size_t i = 0; i < list.count; i++) {
		const struct s3_key key = s3_key_parse(list.objects[i].key + prefix_length);

		if ((key.kind != S3_KEY_LEASE && key.kind != S3_KEY_MAP) || key.generation >= volume->lease.generation)
			continue;
		s3_volume_add_garbage(volume, list.objects[i].key);
		list.objects[i].key = NULL;
	}
	s3_list_free(&list);
}

static int open_stored(struct s3_volume *volume, const struct s3_session *session, const struct tgtkit_open_args *args,
		       struct tgtkit_error *error)
{
	int status = find_or_create(volume, session, args, error);

	if (status != 0)
		return status;
	volume->is_read_only = (args->flags & TGTKIT_OPEN_READ_ONLY) || volume->metadata.format == 0;
	if (volume->metadata.format == 0 && !(args->flags & TGTKIT_OPEN_READ_ONLY))
		s3_log(volume->unit, TGTKIT_LOG_WARNING,
		       "the volume is in gotgt's layout and opens read-only; 'tgtkit-s3 convert' makes it writable");
	if (!volume->is_read_only)
		status = become_owner(volume, session, args->state_dir, error);
	/* From here on the lease is kept, however long the rest takes. */
	if (status == 0)
		status = s3_keeper_start(volume);
	if (status == 0)
		status = s3_volume_load(volume, session, error);
	if (status == 0 && !volume->is_read_only)
		status = s3_volume_write_map(volume, session, error);
	if (status == 0 && !volume->is_read_only)
		forget_older(volume, session);
	return status;
}

int s3_volume_open(const struct tgtkit_open_args *args, struct s3_volume **out, struct tgtkit_error *error)
{
	struct s3_volume *volume;
	struct s3_session session;
	int status = s3_volume_connect(args, &volume, error);

	if (status != 0)
		return status;
	session = (struct s3_session){.http = s3_http_new(NULL), .client = &volume->client};
	status = session.http == NULL ? -ENOMEM : open_stored(volume, &session, args, error);
	if (status != 0) {
		s3_keeper_stop(volume);
		if (session.http != NULL)
			s3_lease_release(&session, &volume->lease, &(struct tgtkit_error){.message = ""});
	}
	if (session.http != NULL)
		s3_http_free(session.http);
	if (status == 0) {
		*out = volume;
		return 0;
	}
	if (error->message[0] == '\0')
		say(error, status, strerror(-status));
	s3_volume_discard(volume);
	return status;
}

/* The map of the next generation: whoever opens next finds in it all that there is. */
static int leave_map(struct s3_volume *volume, const struct s3_session *session, struct tgtkit_error *error)
{
	int status = s3_lease_advance(session, &volume->lease, error);

	if (status == 0)
		status = s3_volume_write_map(volume, session, error);
	return status;
}

static void release(struct s3_volume *volume, bool is_clean)
{
	struct s3_session session = {.client = &volume->client, .deadline_ns = s3_now_ns() + CLOSE_LIMIT_NS};
	struct tgtkit_error error = {.message = ""};
	int status = 0;

	session.http = s3_http_new(NULL);
	if (session.http == NULL)
		return;
	if (is_clean && volume->has_uploaded)
		status = leave_map(volume, &session, &error);
	if (status == 0)
		status = s3_lease_release(&session, &volume->lease, &error);
	if (status != 0)
		s3_log(volume->unit, TGTKIT_LOG_WARNING,
		       "the lease could not be given back, the next opening will wait: %s", error.message);
	s3_http_free(session.http);
}

void s3_volume_close(struct s3_volume *volume, bool is_clean)
{
	const bool may_release = !volume->is_read_only && s3_volume_may_write(volume);

	s3_keeper_stop(volume);
	if (may_release && s3_volume_may_write(volume))
		release(volume, is_clean);
	s3_volume_discard(volume);
}
