/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "http.h"
#include "log.h"

#define IDLE_HANDLES	   64u
#define CONNECTIONS_KEPT   256L
#define CREDENTIAL_WAITS   20u
#define CREDENTIAL_WAIT_NS (S3_SECOND_NS / 4)
#define NO_DUE		   UINT64_MAX
#define LONGEST_WAIT_MS	   1000

struct socket_watch;
static int close_socket(void *context, curl_socket_t fd);

struct s3_http {
	CURLM *multi;
	struct tgtkit_worker *worker;
	struct tgtkit_timer *timer;
	uint64_t curl_due_ns;	 /* NO_DUE: curl waits for no time */
	struct s3_call *waiting; /* for their time */
	struct s3_call *running;
	struct socket_watch *sockets; /* that curl has named */
	CURL *idle[IDLE_HANDLES];
	unsigned idle_count;
	uint32_t random;
};

static void link_call(struct s3_call **list, struct s3_call *call)
{
	call->previous = NULL;
	call->next = *list;
	if (*list != NULL)
		(*list)->previous = call;
	*list = call;
}

static void unlink_call(struct s3_call **list, struct s3_call *call)
{
	if (call->previous != NULL)
		call->previous->next = call->next;
	else
		*list = call->next;
	if (call->next != NULL)
		call->next->previous = call->previous;
	call->next = call->previous = NULL;
}

static uint32_t next_random(struct s3_http *http)
{
	http->random ^= http->random << 13;
	http->random ^= http->random >> 17;
	http->random ^= http->random << 5;
	return http->random;
}

/* ---- Time
 * ------------------------------------------------------------------------------------------------------------ */

static uint64_t next_due(const struct s3_http *http)
{
	uint64_t due = http->curl_due_ns;

	for (const struct s3_call *call = http->waiting; call != NULL; call = call->next)
		if (call->due_ns < due)
			due = call->due_ns;
	return due;
}

static void rearm(struct s3_http *http)
{
	const uint64_t due = next_due(http), now = s3_now_ns();

	if (http->timer == NULL)
		return;
	if (due == NO_DUE)
		s3_host->timer_disarm(http->timer);
	else
		s3_host->timer_arm(http->timer, due > now ? (due - now + 999) / 1000 : 0);
}

static int curl_wants_time(CURLM *multi, long timeout_ms, void *context)
{
	struct s3_http *http = context;

	(void)multi;
	http->curl_due_ns = timeout_ms < 0 ? NO_DUE : s3_now_ns() + (uint64_t)timeout_ms * 1000000;
	rearm(http);
	return 0;
}

static void wait_for(struct s3_call *call, uint64_t due_ns)
{
	call->due_ns = due_ns;
	call->is_waiting = true;
	link_call(&call->http->waiting, call);
	rearm(call->http);
}

/* ---- Attempts
 * --------------------------------------------------------------------------------------------------------- */

static CURL *take_handle(struct s3_http *http)
{
	return http->idle_count > 0 ? http->idle[--http->idle_count] : curl_easy_init();
}

static void give_handle(struct s3_http *http, CURL *easy)
{
	curl_easy_reset(easy);
	if (http->idle_count < IDLE_HANDLES)
		http->idle[http->idle_count++] = easy;
	else
		curl_easy_cleanup(easy);
}

static void finish(struct s3_call *call, int status)
{
	call->status = status;
	call->http = NULL;
	call->done(call);
}

static void stop_running(struct s3_call *call)
{
	struct s3_http *http = call->http;

	unlink_call(&http->running, call);
	curl_multi_remove_handle(http->multi, call->easy);
	s3_attempt_release(call);
	give_handle(http, call->easy);
	call->easy = NULL;
}

static void attempt(struct s3_call *call)
{
	struct s3_http *http = call->http;

	if (call->begin != NULL && !call->begin(call)) {
		finish(call, -ECANCELED);
		return;
	}
	call->attempt++;
	call->easy = take_handle(http);
	if (call->easy != NULL) {
		curl_easy_setopt(call->easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
		curl_easy_setopt(call->easy, CURLOPT_CLOSESOCKETDATA, http);
	}
	if (call->easy == NULL || !s3_attempt_prepare(call) ||
	    curl_multi_add_handle(http->multi, call->easy) != CURLM_OK) {
		s3_attempt_release(call);
		if (call->easy != NULL)
			give_handle(http, call->easy);
		call->easy = NULL;
		finish(call, -ENOMEM);
		return;
	}
	call->was_sent = true;
	s3_client_count(call->client, S3_COUNT_REQUESTS, 1);
	link_call(&http->running, call);
}

static void again(struct s3_call *call, uint64_t delay_ns, int status)
{
	const uint64_t due = s3_now_ns() + delay_ns;
	const unsigned limit = call->attempts == 0 ? call->client->attempts : call->attempts;

	if (call->attempt >= limit || (call->deadline_ns != 0 && due >= call->deadline_ns)) {
		finish(call, status);
		return;
	}
	s3_client_count(call->client, S3_COUNT_RETRIES, 1);
	wait_for(call, due);
}

static void correct_clock(struct s3_call *call)
{
	if (call->clock_was_corrected || call->server_time <= 0) {
		finish(call, -EACCES);
		return;
	}
	call->clock_was_corrected = true;
	atomic_store(&call->client->clock_offset_s, call->server_time - (long long)time(NULL));
	s3_log(call->client->unit, TGTKIT_LOG_WARNING,
	       "the clock of %s is %lld s ahead of this host's; requests are dated by the server's from now on",
	       call->client->address.host, (long long)atomic_load(&call->client->clock_offset_s));
	again(call, 0, -EACCES);
}

/* Whoever keeps the credentials fresh (see keeper.h) does so beside us; look again until it has. */
static void refresh_credentials(struct s3_call *call)
{
	if (call->credentials_were_refreshed) {
		finish(call, -EACCES);
		return;
	}
	call->credentials_were_refreshed = true;
	call->credential_waits = 0;
	atomic_store(&call->client->credentials_wanted, true);
	again(call, CREDENTIAL_WAIT_NS, -EACCES);
}

/* True if the answer is whole and right; else it counts as a broken connection. */
static bool is_sound(struct s3_call *call)
{
	if (call->response.failed)
		return false;
	if (call->range_bytes != 0 &&
	    (call->http_status != 206 || call->received_bytes != call->range_bytes || call->object_bytes == UINT64_MAX))
		return false;
	/* A server that knows no ranges answers 200. */
	if (call->is_whole && call->http_status == 206 && call->received_bytes != call->object_bytes)
		return false;
	if (call->verify == NULL || call->verify(call))
		return true;
	s3_client_count(call->client, S3_COUNT_DAMAGED, 1);
	s3_log(call->client->unit, TGTKIT_LOG_WARNING, "%s %s/%s: the answer was damaged on its way", call->method,
	       call->client->address.bucket, call->key.data);
	return false;
}

static void judge(struct s3_call *call)
{
	const uint64_t backoff_ns = s3_backoff_us(call->attempt, next_random(call->http)) * 1000;
	char sentence[400];

	if (call->curl_status != CURLE_OK) {
		again(call, backoff_ns, -ETIMEDOUT);
		return;
	}
	if (call->http_status < 200 || call->http_status >= 300) {
		char request_id[sizeof(call->error.request_id)];

		memcpy(request_id, call->error.request_id, sizeof(request_id));
		s3_error_parse(call->response.data == NULL ? "" : call->response.data, call->response.length,
			       &call->error);
		if (call->error.request_id[0] == '\0')
			memcpy(call->error.request_id, request_id, sizeof(request_id));
	}
	switch (s3_classify(call->http_status, call->error.code)) {
	case S3_DONE:
		s3_client_count(call->client, S3_COUNT_BYTES_SENT, call->body_bytes);
		s3_client_count(call->client, S3_COUNT_BYTES_RECEIVED, call->received_bytes);
		if (is_sound(call))
			finish(call, 0);
		else
			again(call, backoff_ns, -ETIMEDOUT);
		break;
	case S3_RETRY:
		s3_call_describe(call, sentence, sizeof(sentence));
		s3_log(call->client->unit, TGTKIT_LOG_DEBUG, "%s (attempt %u)", sentence, call->attempt);
		again(call, backoff_ns, -ETIMEDOUT);
		break;
	case S3_RETRY_CREDENTIALS:
		refresh_credentials(call);
		break;
	case S3_RETRY_CLOCK:
		correct_clock(call);
		break;
	case S3_FAILED:
		finish(call, s3_status_errno(call->http_status, call->error.code));
		break;
	}
}

static void take_finished(struct s3_http *http)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
		struct s3_call *call;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		call->curl_status = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &call->http_status);
		stop_running(call);
		judge(call);
	}
}

/* True if a call that asked for fresh credentials has to wait for them still. */
static bool lacks_credentials(struct s3_call *call)
{
	if (!call->credentials_were_refreshed || !atomic_load(&call->client->credentials_wanted) ||
	    call->credential_waits >= CREDENTIAL_WAITS)
		return false;
	call->credential_waits++;
	call->due_ns = s3_now_ns() + CREDENTIAL_WAIT_NS;
	return true;
}

static void start_due(struct s3_http *http)
{
	const uint64_t now = s3_now_ns();
	struct s3_call *call = http->waiting;

	while (call != NULL) {
		if (call->due_ns > now || lacks_credentials(call)) {
			call = call->next;
			continue;
		}
		unlink_call(&http->waiting, call);
		call->is_waiting = false;
		attempt(call);
		call = http->waiting; /* hooks may have changed the list */
	}
	rearm(http);
}

void s3_http_start(struct s3_http *http, struct s3_call *call)
{
	call->http = http;
	call->attempt = 0;
	call->was_sent = call->credentials_were_refreshed = call->clock_was_corrected = false;
	wait_for(call, 0);
}

void s3_http_cancel(struct s3_call *call)
{
	if (call->http == NULL)
		return;
	if (call->is_waiting)
		unlink_call(&call->http->waiting, call);
	else
		stop_running(call);
	call->is_waiting = false;
	call->http = NULL;
}

void s3_http_hurry(struct s3_http *http)
{
	for (struct s3_call *call = http->waiting; call != NULL; call = call->next)
		call->due_ns = 0;
	rearm(http);
}

/* ---- On a worker's loop
 * --------------------------------------------------------------------------------------------------
 */

/* curl tells when it is done with a socket, but not always before it closes it: the watch ends with the first of the
 * two, the structure with curl's word. */
struct socket_watch {
	struct s3_http *http;
	struct tgtkit_watch *watch; /* NULL: its descriptor is closed */
	int fd, watched_fd;
	struct socket_watch *next;
};

static void socket_is_ready(void *context, int fd, uint32_t events);

static void end_watch(struct socket_watch *socket)
{
	if (socket->watch == NULL)
		return;
	s3_host->watch_remove(socket->watch);
	close(socket->watched_fd);
	socket->watch = NULL;
}

/* A duplicate, as libcurl closes sockets that did not get connected without telling. */
static int begin_watch(struct socket_watch *socket, uint32_t events)
{
	int status;

	socket->watched_fd = fcntl(socket->fd, F_DUPFD_CLOEXEC, 0);
	if (socket->watched_fd < 0)
		return -1;
	status = s3_host->watch_add(socket->http->worker, socket->watched_fd, events, socket_is_ready, socket,
				    &socket->watch);
	if (status != 0)
		close(socket->watched_fd);
	return status == 0 ? 0 : -1;
}

static void free_socket(struct s3_http *http, struct socket_watch *socket)
{
	struct socket_watch **place = &http->sockets;

	while (*place != socket)
		place = &(*place)->next;
	*place = socket->next;
	end_watch(socket);
	free(socket);
}

static int close_socket(void *context, curl_socket_t fd)
{
	struct s3_http *http = context;

	for (struct socket_watch *socket = http->sockets; socket != NULL; socket = socket->next)
		if (socket->fd == fd)
			end_watch(socket);
	return close(fd);
}

static void socket_is_ready(void *context, int fd, uint32_t events)
{
	const struct socket_watch *socket = context;
	struct s3_http *http = socket->http;
	const curl_socket_t curl_fd = socket->fd;
	int mask = 0, running;

	(void)fd;
	if (events & TGTKIT_FD_READ)
		mask |= CURL_CSELECT_IN;
	if (events & TGTKIT_FD_WRITE)
		mask |= CURL_CSELECT_OUT;
	if (events & TGTKIT_FD_ERROR)
		mask |= CURL_CSELECT_ERR;
	curl_multi_socket_action(http->multi, curl_fd, mask, &running);
	take_finished(http);
	rearm(http);
}

static struct socket_watch *new_socket(struct s3_http *http, curl_socket_t fd)
{
	struct socket_watch *socket = calloc(1, sizeof(*socket));

	if (socket == NULL)
		return NULL;
	*socket = (struct socket_watch){.http = http, .fd = fd, .next = http->sockets};
	http->sockets = socket;
	curl_multi_assign(http->multi, fd, socket);
	return socket;
}

static int curl_wants_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context)
{
	struct s3_http *http = context;
	struct socket_watch *socket = socket_context;
	uint32_t events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (socket != NULL)
			free_socket(http, socket);
		curl_multi_assign(http->multi, fd, NULL);
		return 0;
	}
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= TGTKIT_FD_READ;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= TGTKIT_FD_WRITE;
	if (socket == NULL)
		socket = new_socket(http, fd);
	if (socket == NULL)
		return -1;
	if (socket->watch != NULL)
		return s3_host->watch_modify(socket->watch, events) == 0 ? 0 : -1;
	return begin_watch(socket, events);
}

static void time_has_come(void *context)
{
	struct s3_http *http = context;
	int running;

	if (http->curl_due_ns <= s3_now_ns()) {
		http->curl_due_ns = NO_DUE;
		curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
		take_finished(http);
	}
	start_due(http);
}

/* ---- Life, and blocking use
 * ------------------------------------------------------------------------------------------------ */

struct s3_http *s3_http_new(struct tgtkit_worker *worker)
{
	struct s3_http *http = calloc(1, sizeof(*http));

	if (http == NULL)
		return NULL;
	http->curl_due_ns = NO_DUE;
	http->worker = worker;
	http->multi = curl_multi_init();
	if (http->multi == NULL || RAND_bytes((unsigned char *)&http->random, sizeof(http->random)) != 1 ||
	    (worker != NULL && s3_host->timer_create(worker, time_has_come, http, &http->timer) != 0)) {
		if (http->multi != NULL)
			curl_multi_cleanup(http->multi);
		free(http);
		return NULL;
	}
	http->random |= 1;
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	if (worker != NULL) {
		curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, curl_wants_socket);
		curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
		curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, curl_wants_time);
		curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	}
	return http;
}

void s3_http_free(struct s3_http *http)
{
	for (unsigned i = 0; i < http->idle_count; i++)
		curl_easy_cleanup(http->idle[i]);
	curl_multi_cleanup(http->multi);
	while (http->sockets != NULL)
		free_socket(http, http->sockets);
	if (http->timer != NULL)
		s3_host->timer_destroy(http->timer);
	free(http);
}

static int wait_ms(const struct s3_http *http, uint64_t until_ns)
{
	const uint64_t now = s3_now_ns();
	uint64_t due = next_due(http);

	if (until_ns != 0 && until_ns < due)
		due = until_ns;
	if (due <= now)
		return 0;
	return (due - now) / 1000000 >= LONGEST_WAIT_MS ? LONGEST_WAIT_MS : (int)((due - now) / 1000000) + 1;
}

void s3_http_run_until(struct s3_http *http, bool (*over)(void *context), void *context, uint64_t until_ns)
{
	int running;

	while ((http->waiting != NULL || http->running != NULL) && !(over != NULL && over(context)) &&
	       (until_ns == 0 || s3_now_ns() < until_ns)) {
		start_due(http);
		curl_multi_perform(http->multi, &running);
		take_finished(http);
		if ((over != NULL && over(context)) || (http->waiting == NULL && http->running == NULL))
			break;
		curl_multi_poll(http->multi, NULL, 0, wait_ms(http, until_ns), NULL);
	}
}

static void note_done(struct s3_call *call)
{
	*(bool *)call->context = true;
}

static bool is_done(void *context)
{
	return *(bool *)context;
}

int s3_http_call(struct s3_http *http, struct s3_call *call)
{
	bool done = false;

	call->context = &done;
	call->done = note_done;
	s3_http_start(http, call);
	s3_http_run_until(http, is_done, &done, 0);
	return call->status;
}
