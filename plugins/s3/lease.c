/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "credentials.h"
#include "lease.h"
#include "log.h"
#include "names.h"

#define LEASE_NAME_BYTES 24
#define READINGS	 4u
#define AFTER_WAIT_NS	 (60 * S3_SECOND_NS) /* for what an opening has to do yet when its wait is over */

/* What a contender finds. */
struct incumbent {
	uint32_t generation; /* 0: nobody */
	uint32_t newest_map;
	struct s3_text content; /* of its lease */
	struct s3_lease_record record;
};

static void lease_name(uint32_t generation, char name[LEASE_NAME_BYTES])
{
	snprintf(name, LEASE_NAME_BYTES, "_lease.%08x", generation);
}

/* ---- This host ------------------------------------------------------------------------------------------------------
 */

static void copy_file(const char *path, char *out, size_t size)
{
	char *content = s3_small_file(path);

	snprintf(out, size, "%s", content == NULL ? "" : content);
	free(content);
}

static int lock_state(const char *state_dir, const char *uuid, struct s3_lease *lease, struct tgtkit_error *error)
{
	struct stat folder;
	char path[512];

	if (state_dir[0] == '\0' || stat(state_dir, &folder) != 0)
		return 0;
	snprintf(path, sizeof(path), "%s/s3-%s.lock", state_dir, uuid);
	lease->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lease->lock_fd < 0)
		return 0; /* only the quick way back is lost */
	if (flock(lease->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		snprintf(error->message, sizeof(error->message),
			 "the volume is in use by another process of this host (%.300s is locked)", path);
		return -EBUSY;
	}
	snprintf(lease->record.state, sizeof(lease->record.state), "%llu:%llu", (unsigned long long)folder.st_dev,
		 (unsigned long long)folder.st_ino);
	return 0;
}

static int describe_host(const struct s3_lease_args *args, struct s3_lease *lease, struct tgtkit_error *error)
{
	pthread_mutex_init(&lease->renewing, NULL);
	lease->has_mutex = true;
	lease->lock_fd = -1;
	lease->lease_ns = args->lease_s * S3_SECOND_NS;
	atomic_init(&lease->valid_until_ns, 0);
	atomic_init(&lease->is_lost, false);
	s3_make_uuid(lease->record.nonce);
	if (gethostname(lease->record.host, sizeof(lease->record.host) - 1) != 0)
		snprintf(lease->record.host, sizeof(lease->record.host), "unknown");
	copy_file("/etc/machine-id", lease->record.machine, sizeof(lease->record.machine));
	copy_file("/proc/sys/kernel/random/boot_id", lease->record.boot, sizeof(lease->record.boot));
	return lock_state(args->state_dir, args->uuid, lease, error);
}

/* The incumbent ran on this very host with this state folder, whose lock we hold: it is dead.  (Not every container has
 * a machine id; the id of the boot tells hosts apart, too.) */
static bool is_our_ghost(const struct s3_lease *lease, const struct s3_lease_record *record)
{
	return lease->record.state[0] != '\0' && lease->record.boot[0] != '\0' &&
	       strcmp(lease->record.state, record->state) == 0 && strcmp(lease->record.boot, record->boot) == 0 &&
	       strcmp(lease->record.machine, record->machine) == 0;
}

/* ---- Looking
 * ---------------------------------------------------------------------------------------------------------- */

static int say_opening(struct tgtkit_error *error)
{
	snprintf(error->message, sizeof(error->message), "the volume is being opened elsewhere at this moment");
	return -EBUSY;
}

static void read_record(struct incumbent *incumbent)
{
	if (!s3_lease_decode(incumbent->content.data, incumbent->content.length, &incumbent->record))
		incumbent->record = (struct s3_lease_record){.host = "an unknown host"};
}

static int find_incumbent(const struct s3_session *session, struct incumbent *incumbent, struct tgtkit_error *error)
{
	struct s3_list list;
	char name[LEASE_NAME_BYTES];
	int status = s3_objects_list_surely(session, "_", NULL, &list, error);

	if (status != 0)
		return status;
	for (size_t i = 0; i < list.count; i++) {
		const struct s3_key key = s3_key_parse(list.objects[i].key + strlen(session->client->address.prefix));

		if (key.kind == S3_KEY_LEASE && key.generation > incumbent->generation)
			incumbent->generation = key.generation;
		if (key.kind == S3_KEY_MAP && key.generation > incumbent->newest_map)
			incumbent->newest_map = key.generation;
	}
	s3_list_free(&list);
	if (incumbent->generation == 0)
		return 0;
	lease_name(incumbent->generation, name);
	status = s3_object_get_surely(session, name, &incumbent->content, error);
	if (status == 0)
		read_record(incumbent);
	return status == -ENOENT ? -EAGAIN : status;
}

int s3_lease_find_size(const struct s3_session *session, uint64_t *device_bytes, struct tgtkit_error *error)
{
	int status = -EAGAIN;

	/* Beside an owner that goes on to the next generation, one may vanish while a reader looks. */
	for (unsigned i = 0; i < READINGS && status == -EAGAIN; i++) {
		struct incumbent incumbent = {0};

		status = find_incumbent(session, &incumbent, error);
		*device_bytes = incumbent.record.device_bytes;
		s3_text_free(&incumbent.content);
	}
	return status == -EAGAIN ? say_opening(error) : status;
}

/* 0: as it was, 1: changed, or an errno. */
static int has_changed(const struct s3_session *session, struct incumbent *incumbent, struct tgtkit_error *error)
{
	struct s3_text now = {0};
	char name[LEASE_NAME_BYTES];
	int status;

	lease_name(incumbent->generation, name);
	status = s3_object_get_surely(session, name, &now, error);
	if (status == 0 &&
	    (now.length != incumbent->content.length || memcmp(now.data, incumbent->content.data, now.length) != 0)) {
		s3_text_free(&incumbent->content);
		incumbent->content = now;
		return 1;
	}
	s3_text_free(&now);
	return status;
}

static void sleep_ns(uint64_t duration_ns)
{
	const struct timespec duration = {.tv_sec = (time_t)(duration_ns / S3_SECOND_NS),
					  .tv_nsec = (long)(duration_ns % S3_SECOND_NS)};

	nanosleep(&duration, NULL);
}

/* The host's limit on opening must not cut the wait short. */
static void announce_wait(const struct s3_lease_args *args)
{
	if (s3_host != NULL && args->unit != NULL)
		s3_host->open_takes(args->unit, (args->lease_s * S3_SECOND_NS + AFTER_WAIT_NS) / 1000);
}

static int wait_until_lapsed(const struct s3_session *session, const struct s3_lease_args *args,
			     struct incumbent *incumbent, struct tgtkit_error *error)
{
	const uint64_t lease_ns = args->lease_s * S3_SECOND_NS, until = s3_now_ns() + lease_ns;
	int status;

	s3_log(args->unit, TGTKIT_LOG_INFO,
	       "the volume was last opened by %s; waiting up to %u s for its lease to lapse", incumbent->record.host,
	       args->lease_s);
	announce_wait(args);
	for (;;) {
		/* Taken before the look: what is seen afterwards was so at this time or later. */
		const bool is_last = s3_now_ns() >= until;

		status = has_changed(session, incumbent, error);
		if (status == 1) {
			snprintf(error->message, sizeof(error->message),
				 "the volume is in use by %s, which keeps its lease; stop it there, or set the option "
				 "take_over",
				 incumbent->record.host);
			return -EBUSY;
		}
		if (is_last)
			return status;
		sleep_ns(lease_ns / 10 < S3_SECOND_NS ? lease_ns / 10 : S3_SECOND_NS);
	}
}

/* ---- Taking
 * -------------------------------------------------------------------------------------------------------------- */

static int put_record(const struct s3_session *session, const struct s3_lease *lease, bool if_none_match,
		      struct tgtkit_error *error)
{
	struct s3_text json = {0};
	char name[LEASE_NAME_BYTES];
	int status;

	lease_name(lease->generation, name);
	s3_lease_encode(&lease->record, &json);
	status = json.failed ? -ENOMEM : s3_object_put(session, name, json.data, json.length, if_none_match, error);
	s3_text_free(&json);
	return status;
}

/* An attempt whose answer was lost may have been ours. */
static int is_ours(const struct s3_session *session, const struct s3_lease *lease, struct tgtkit_error *error)
{
	struct s3_lease_record found;
	struct s3_text content = {0};
	char name[LEASE_NAME_BYTES];
	int status;

	lease_name(lease->generation, name);
	status = s3_object_get_surely(session, name, &content, error);
	if (status == 0 &&
	    (!s3_lease_decode(content.data, content.length, &found) || strcmp(found.nonce, lease->record.nonce) != 0)) {
		snprintf(error->message, sizeof(error->message), "the volume was opened by %s at the same moment",
			 found.host);
		status = -EBUSY;
	}
	s3_text_free(&content);
	return status;
}

static int create(const struct s3_session *session, struct s3_lease *lease, struct tgtkit_error *error)
{
	const uint64_t now = s3_clock_ns(CLOCK_BOOTTIME);
	int status = put_record(session, lease, true, error);

	if (status == -EEXIST)
		status = is_ours(session, lease, error);
	if (status == 0)
		atomic_store(&lease->valid_until_ns, now + lease->lease_ns);
	return status;
}

/* A server that ignores conditions would let two writers in. */
static int prove_conditions(const struct s3_session *session, const struct s3_lease *lease, struct tgtkit_error *error)
{
	const int status = put_record(session, lease, true, error);

	if (status == -EEXIST)
		return 0;
	return status == 0 ? -EOPNOTSUPP : status;
}

static int look_for_higher(const struct s3_session *session, const struct s3_lease *lease, struct tgtkit_error *error)
{
	struct s3_list list;
	char name[LEASE_NAME_BYTES];
	int status;

	lease_name(lease->generation, name);
	status = s3_objects_list(session, "_lease.", name, NULL, 1, &list, error);
	if (status != 0)
		return status;
	if (list.count > 0)
		status = -ESHUTDOWN;
	s3_list_free(&list);
	return status;
}

static int renew(const struct s3_session *session, struct s3_lease *lease, struct tgtkit_error *error)
{
	const uint64_t now = s3_clock_ns(CLOCK_BOOTTIME);
	int status;

	lease->record.renewals++;
	status = put_record(session, lease, false, error);
	if (status == 0)
		status = look_for_higher(session, lease, error);
	if (status == 0)
		atomic_store(&lease->valid_until_ns, now + lease->lease_ns);
	else if (status == -ESHUTDOWN)
		atomic_store(&lease->is_lost, true);
	return status;
}

int s3_lease_renew(const struct s3_session *session, struct s3_lease *lease, struct tgtkit_error *error)
{
	int status;

	pthread_mutex_lock(&lease->renewing);
	status = renew(session, lease, error);
	pthread_mutex_unlock(&lease->renewing);
	return status;
}

int s3_lease_resize(const struct s3_session *session, struct s3_lease *lease, uint64_t device_bytes,
		    struct tgtkit_error *error)
{
	uint64_t old_bytes;
	int status;

	pthread_mutex_lock(&lease->renewing);
	old_bytes = lease->record.device_bytes;
	lease->record.device_bytes = device_bytes;
	status = renew(session, lease, error);
	if (status != 0)
		lease->record.device_bytes = old_bytes;
	pthread_mutex_unlock(&lease->renewing);
	return status;
}

/* The old owner may have made the volume larger until it heard of us. */
static int take_size(const struct s3_session *session, struct incumbent *incumbent, struct s3_lease *lease,
		     struct tgtkit_error *error)
{
	const int status = has_changed(session, incumbent, error);

	if (status < 0)
		return status;
	read_record(incumbent);
	if (incumbent->record.device_bytes != 0)
		lease->record.device_bytes = incumbent->record.device_bytes;
	return 0;
}

/* After our generation stands: sit out what the old owner may still believe it has. */
static int sit_out(const struct s3_session *session, const struct s3_lease_args *args, struct incumbent *incumbent,
		   struct s3_lease *lease, struct tgtkit_error *error)
{
	const uint64_t start = s3_now_ns(), lease_ns = lease->lease_ns;
	uint64_t renewed = start;
	int status = has_changed(session, incumbent, error);

	if (status < 0 || (status == 0 && !args->take_over))
		return status;
	s3_log(args->unit, TGTKIT_LOG_INFO, "taking the volume over from %s; waiting %u s", incumbent->record.host,
	       args->lease_s);
	announce_wait(args);
	while (s3_now_ns() < start + lease_ns) {
		sleep_ns(lease_ns / 20);
		if (s3_now_ns() < renewed + lease_ns / 4)
			continue;
		renewed = s3_now_ns();
		status = s3_lease_renew(session, lease, error);
		if (status == -ESHUTDOWN)
			return status;
	}
	status = take_size(session, incumbent, lease, error);
	return status == 0 ? s3_lease_renew(session, lease, error) : status;
}

static int take(const struct s3_session *session, const struct s3_lease_args *args, struct incumbent *incumbent,
		struct s3_lease *lease, struct tgtkit_error *error)
{
	const bool has_owner =
	    incumbent->generation != 0 && !incumbent->record.released && !is_our_ghost(lease, &incumbent->record);
	int status = 0;

	if (has_owner && !args->take_over)
		status = wait_until_lapsed(session, args, incumbent, error);
	if (status != 0)
		return status;
	lease->record.device_bytes =
	    incumbent->record.device_bytes != 0 ? incumbent->record.device_bytes : args->device_bytes;
	lease->generation =
	    (incumbent->generation > incumbent->newest_map ? incumbent->generation : incumbent->newest_map) + 1;
	status = create(session, lease, error);
	if (status == 0)
		status = prove_conditions(session, lease, error);
	if (status == 0)
		status = look_for_higher(session, lease, error);
	if (status == 0 && has_owner)
		status = sit_out(session, args, incumbent, lease, error);
	if (status == -ESHUTDOWN) {
		snprintf(error->message, sizeof(error->message), "the volume was opened elsewhere at the same moment");
		status = -EBUSY;
	}
	lease->may_release = status == 0;
	return status;
}

int s3_lease_acquire(const struct s3_session *session, const struct s3_lease_args *args, struct s3_lease *lease,
		     struct tgtkit_error *error)
{
	struct incumbent incumbent = {0};
	int status = describe_host(args, lease, error);

	if (status == 0)
		status = find_incumbent(session, &incumbent, error);
	if (status == -EAGAIN)
		status = say_opening(error);
	if (status == 0)
		status = take(session, args, &incumbent, lease, error);
	if (status == -ENOSYS)
		status = -EOPNOTSUPP;
	s3_text_free(&incumbent.content);
	if (status != 0)
		s3_lease_close(lease);
	return status;
}

int s3_lease_advance(const struct s3_session *session, struct s3_lease *lease, struct tgtkit_error *error)
{
	int status;

	lease->may_release = false;
	lease->generation++;
	status = create(session, lease, error);
	if (status == 0)
		status = look_for_higher(session, lease, error);
	lease->may_release = status == 0;
	return status;
}

int s3_lease_release(const struct s3_session *session, struct s3_lease *lease, struct tgtkit_error *error)
{
	if (!lease->may_release || atomic_load(&lease->is_lost))
		return 0;
	lease->record.released = true;
	return put_record(session, lease, false, error);
}

void s3_lease_close(struct s3_lease *lease)
{
	if (lease->lock_fd >= 0)
		close(lease->lock_fd);
	lease->lock_fd = -1;
	if (lease->has_mutex)
		pthread_mutex_destroy(&lease->renewing);
	lease->has_mutex = false;
}
