/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "credentials.h"
#include "keeper.h"
#include "log.h"

#define LOOK_EVERY_NS	   (S3_SECOND_NS / 5) /* at credentials that somebody wants */
#define REFRESH_BEFORE_S   300u
#define REFRESH_PAUSE_NS   (10 * S3_SECOND_NS)
#define RENEWALS_PER_LEASE 6u

struct s3_keeper {
	struct s3_volume *volume;
	struct s3_http *http;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool is_stopping;
	bool has_complained;
	uint64_t renew_at_ns, refresh_not_before_ns;
};

static void tell(const struct s3_volume *volume)
{
	const uint64_t one = 1;
	const ssize_t written = write(volume->event_fd, &one, sizeof(one));

	(void)written; /* full: it will be read all the same */
}

static void renew(struct s3_keeper *keeper)
{
	struct s3_volume *volume = keeper->volume;
	const uint64_t step_ns = volume->lease.lease_ns / RENEWALS_PER_LEASE;
	const bool had_right = s3_lease_allows_writing(&volume->lease);
	const struct s3_session session = {
	    .http = keeper->http, .client = &volume->client, .deadline_ns = s3_now_ns() + volume->lease.lease_ns / 3};
	struct tgtkit_error error = {.message = ""};
	const int status = s3_lease_renew(&session, &volume->lease, &error);

	keeper->renew_at_ns = s3_now_ns() + (status == 0 ? step_ns : step_ns / 4);
	if (status == -ESHUTDOWN) {
		s3_log(volume->unit, TGTKIT_LOG_ERROR,
		       "another host has taken %s/%s over; this one serves it no more, until it is opened again",
		       volume->client.address.bucket, volume->client.address.prefix);
		s3_host->event(volume->unit, TGTKIT_EVENT_FENCED);
		tell(volume);
	} else if (status != 0 && !keeper->has_complained) {
		s3_log(volume->unit, TGTKIT_LOG_WARNING, "the lease could not be renewed: %s", error.message);
		keeper->has_complained = true;
	} else if (status == 0) {
		if (keeper->has_complained)
			s3_log(volume->unit, TGTKIT_LOG_INFO, "the lease is renewed again");
		keeper->has_complained = false;
		if (!had_right)
			tell(volume);
	}
}

static bool credentials_are_due(struct s3_keeper *keeper)
{
	struct s3_client *client = &keeper->volume->client;
	struct s3_credentials *credentials;
	bool are_due;

	if (s3_now_ns() < keeper->refresh_not_before_ns)
		return false;
	if (atomic_load(&client->credentials_wanted))
		return true;
	credentials = s3_client_credentials(client);
	are_due =
	    credentials->expires_at_s != 0 && (uint64_t)time(NULL) + REFRESH_BEFORE_S >= credentials->expires_at_s;
	s3_credentials_release(credentials);
	return are_due;
}

static void refresh(struct s3_keeper *keeper)
{
	struct s3_volume *volume = keeper->volume;
	struct s3_credentials *credentials;
	struct tgtkit_error error = {.message = ""};

	if (s3_credentials_find(&volume->settings, &credentials, &error) == 0) {
		s3_client_set_credentials(&volume->client, credentials);
		keeper->refresh_not_before_ns = s3_now_ns() + S3_SECOND_NS;
	} else {
		s3_log(volume->unit, TGTKIT_LOG_WARNING, "the credentials could not be refreshed: %s", error.message);
		keeper->refresh_not_before_ns = s3_now_ns() + REFRESH_PAUSE_NS;
	}
	atomic_store(&volume->client.credentials_wanted, false);
	tell(volume);
}

static bool wait_a_little(struct s3_keeper *keeper)
{
	const uint64_t until = s3_now_ns() + LOOK_EVERY_NS;
	const struct timespec limit = {.tv_sec = (time_t)(until / S3_SECOND_NS),
				       .tv_nsec = (long)(until % S3_SECOND_NS)};
	bool goes_on;

	pthread_mutex_lock(&keeper->lock);
	if (!keeper->is_stopping)
		pthread_cond_timedwait(&keeper->wake, &keeper->lock, &limit);
	goes_on = !keeper->is_stopping;
	pthread_mutex_unlock(&keeper->lock);
	return goes_on;
}

static void *keep(void *context)
{
	struct s3_keeper *keeper = context;
	const struct s3_volume *volume = keeper->volume;

	while (wait_a_little(keeper)) {
		if (credentials_are_due(keeper))
			refresh(keeper);
		if (!volume->is_read_only && !s3_volume_is_fenced(volume) && s3_now_ns() >= keeper->renew_at_ns)
			renew(keeper);
	}
	return NULL;
}

static int start_thread(struct s3_keeper *keeper)
{
	pthread_condattr_t attributes;
	sigset_t all, old;
	int status;

	pthread_mutex_init(&keeper->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&keeper->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	/* Signals are the daemon's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	status = -pthread_create(&keeper->thread, NULL, keep, keeper);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return status;
}

static void free_keeper(struct s3_keeper *keeper)
{
	pthread_mutex_destroy(&keeper->lock);
	pthread_cond_destroy(&keeper->wake);
	s3_http_free(keeper->http);
	free(keeper);
}

int s3_keeper_start(struct s3_volume *volume)
{
	struct s3_keeper *keeper = calloc(1, sizeof(*keeper));
	int status;

	if (keeper == NULL)
		return -ENOMEM;
	keeper->volume = volume;
	keeper->http = s3_http_new(NULL);
	if (keeper->http == NULL) {
		free(keeper);
		return -ENOMEM;
	}
	status = start_thread(keeper);
	if (status != 0)
		free_keeper(keeper);
	else
		volume->keeper = keeper;
	return status;
}

void s3_keeper_stop(struct s3_volume *volume)
{
	struct s3_keeper *keeper = volume->keeper;

	if (keeper == NULL)
		return;
	pthread_mutex_lock(&keeper->lock);
	keeper->is_stopping = true;
	pthread_cond_signal(&keeper->wake);
	pthread_mutex_unlock(&keeper->lock);
	pthread_join(keeper->thread, NULL);
	free_keeper(keeper);
	volume->keeper = NULL;
}
