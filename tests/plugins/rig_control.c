/* SPDX-License-Identifier: Apache-2.0
 *
 * The rig's thread: it does what is due, and answers commands on a Unix stream socket, a line each (README.md).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "rig.h"

/* ---- Answers
 * --------------------------------------------------------------------------------------------------------- */

static void answer(struct rig_client *client, const char *format, ...) TGTKIT_PRINTF(2, 3);

static void drop(struct rig_client *client)
{
	close(client->fd);
	client->fd = -1;
}

/* One line.  A client that does not read its answers is dropped. */
static void answer(struct rig_client *client, const char *format, ...)
{
	char line[RIG_LINE];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line) - 1, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof(line) - 1)
		length = (int)sizeof(line) - 2;
	line[length++] = '\n';
	if (send(client->fd, line, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT) != length)
		drop(client);
}

/* ---- Words
 * ----------------------------------------------------------------------------------------------------------- */

static bool parse_number(const char *word, uint64_t *value)
{
	char *end;

	if (word == NULL || word[0] < '0' || word[0] > '9')
		return false;
	errno = 0;
	*value = strtoull(word, &end, 10);
	return errno == 0 && *end == '\0';
}

/* "any" is 0. */
static bool parse_operation(const char *word, uint32_t *operation)
{
	static const char *const names[] = {"any", "read", "write", "flush", "discard", "zero", "extents"};

	for (uint32_t i = 0; word != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(word, names[i]) == 0) {
			*operation = i;
			return true;
		}
	}
	return false;
}

/* "EIO" or a number, to a negative errno. */
static bool parse_errno(const char *word, int *status)
{
	uint64_t number;

	if (parse_number(word, &number)) {
		*status = -(int)number;
		return number > 0 && number < 4096;
	}
	for (int value = 1; word != NULL && value < 4096; value++) {
		const char *name = strerrorname_np(value);

		if (name != NULL && strcmp(name, word) == 0) {
			*status = -value;
			return true;
		}
	}
	return false;
}

/* ---- Commands, with the lock
 * ------------------------------------------------------------------------------------------- */

/* Words of a line; those that are missing are NULL. */
struct words {
	const char *word[8];
};

static const char *add_fault(struct rig *rig, const struct rig_fault *fault)
{
	for (size_t i = 0; i < RIG_FAULTS; i++) {
		if (rig->faults[i].count == 0) {
			rig->faults[i] = *fault;
			return NULL;
		}
	}
	return "too many faults at a time";
}

/* fail read|write|flush|discard|zero|extents|any ERRNO COUNT [OFFSET LENGTH] */
static const char *order_failure(struct rig *rig, const struct words *words)
{
	struct rig_fault fault = {.action = RIG_FAIL};

	if (!parse_operation(words->word[1], &fault.operation) || !parse_errno(words->word[2], &fault.status) ||
	    !parse_number(words->word[3], &fault.count))
		return "usage: fail KIND ERRNO COUNT [OFFSET LENGTH]";
	if (words->word[4] != NULL &&
	    (!parse_number(words->word[4], &fault.offset) || !parse_number(words->word[5], &fault.length)))
		return "usage: fail KIND ERRNO COUNT [OFFSET LENGTH]";
	return add_fault(rig, &fault);
}

/* hang KIND COUNT */
static const char *order_hang(struct rig *rig, const struct words *words)
{
	struct rig_fault fault = {.action = RIG_HANG};

	if (!parse_operation(words->word[1], &fault.operation) || !parse_number(words->word[2], &fault.count))
		return "usage: hang KIND COUNT";
	return add_fault(rig, &fault);
}

static const char *order_release(struct rig *rig, const struct words *words)
{
	(void)words;
	for (size_t i = 0; i < RIG_FAULTS; i++)
		if (rig->faults[i].action == RIG_HANG)
			rig->faults[i].count = 0;
	rig_release(rig);
	return NULL;
}

static const char *order_clear(struct rig *rig, const struct words *words)
{
	(void)words;
	memset(rig->faults, 0, sizeof(rig->faults));
	return NULL;
}

static const char *order_delay(struct rig *rig, const struct words *words)
{
	return parse_number(words->word[1], &rig->delay_us) ? NULL : "usage: delay MICROSECONDS";
}

static const char *order_event(struct rig *rig, const struct words *words)
{
	static const struct {
		const char *name;
		int event;
	} events[] = {
	    {"capacity", TGTKIT_EVENT_CAPACITY_CHANGED},
	    {"lost", TGTKIT_EVENT_LOST},
	    {"back", TGTKIT_EVENT_BACK},
	    {"fenced", TGTKIT_EVENT_FENCED},
	};

	for (size_t i = 0; words->word[1] != NULL && i < sizeof(events) / sizeof(events[0]); i++) {
		if (strcmp(words->word[1], events[i].name) == 0) {
			rig->host->event(rig->unit, events[i].event);
			return NULL;
		}
	}
	return "usage: event capacity|lost|back|fenced";
}

static const char *order_resize(struct rig *rig, const struct words *words)
{
	uint64_t length;

	if (!parse_number(words->word[1], &length))
		return "usage: resize BYTES";
	if (rig_memory_resize(&rig->memory, length) != 0)
		return "the memory cannot have that size";
	rig->host->event(rig->unit, TGTKIT_EVENT_CAPACITY_CHANGED);
	return NULL;
}

static const char *order_power_cut(struct rig *rig, const struct words *words)
{
	(void)words;
	rig_memory_power_cut(&rig->memory);
	return NULL;
}

static void answer_status(struct rig *rig, struct rig_client *client)
{
	answer(client,
	       "ok submitted=%" PRIu64 " refused=%" PRIu64 " violations=%" PRIu64 " failed=%" PRIu64 " reads=%" PRIu64
	       " writes=%" PRIu64 " flushes=%" PRIu64 " pending=%" PRIu64 " hung=%" PRIu64 " size=%" PRIu64,
	       rig->submitted, rig->refused, rig->violations, rig->failed, rig->completed[TGTKIT_READ],
	       rig->completed[TGTKIT_WRITE], rig->completed[TGTKIT_FLUSH], rig->pending.count, rig->hung.count,
	       rig->memory.length);
}

static void obey(struct rig *rig, struct rig_client *client, const struct words *words)
{
	static const struct {
		const char *name;
		const char *(*order)(struct rig *rig, const struct words *words);
	} orders[] = {
	    {"fail", order_failure}, {"hang", order_hang},   {"release", order_release}, {"clear", order_clear},
	    {"delay", order_delay},  {"event", order_event}, {"resize", order_resize},	 {"power-cut", order_power_cut},
	};

	if (strcmp(words->word[0], "status") == 0) {
		answer_status(rig, client);
		return;
	}
	if (strcmp(words->word[0], "wait-hung") == 0) {
		if (!parse_number(words->word[1], &client->wait_hung) || client->wait_hung == 0)
			answer(client, "error usage: wait-hung COUNT");
		return;
	}
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		if (strcmp(words->word[0], orders[i].name) == 0) {
			const char *problem = orders[i].order(rig, words);

			answer(client, problem == NULL ? "ok" : "error %s", problem);
			return;
		}
	}
	answer(client, "error unknown command '%s'", words->word[0]);
}

static void obey_line(struct rig *rig, struct rig_client *client, char *line)
{
	struct words words = {{NULL}};
	char *rest = NULL;
	size_t count = 0;

	for (char *word = strtok_r(line, " \t\r", &rest); word != NULL; word = strtok_r(NULL, " \t\r", &rest))
		if (count < sizeof(words.word) / sizeof(words.word[0]))
			words.word[count++] = word;
	if (count > 0)
		obey(rig, client, &words);
}

/* ---- Clients, with the lock
 * --------------------------------------------------------------------------------------------- */

static void hear(struct rig *rig, struct rig_client *client)
{
	ssize_t got = recv(client->fd, client->line + client->length, sizeof(client->line) - client->length, 0);
	char *newline;

	if (got <= 0) {
		drop(client);
		return;
	}
	client->length += (size_t)got;
	while (client->fd >= 0 && (newline = memchr(client->line, '\n', client->length)) != NULL) {
		const size_t used = (size_t)(newline - client->line) + 1;
		char line[RIG_LINE];

		*newline = '\0';
		memcpy(line, client->line, used);
		client->length -= used;
		memmove(client->line, client->line + used, client->length);
		obey_line(rig, client, line);
	}
	if (client->fd >= 0 && client->length == sizeof(client->line))
		drop(client);
}

static void accept_client(struct rig *rig)
{
	int fd = accept4(rig->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	for (size_t i = 0; fd >= 0 && i < RIG_CLIENTS; i++) {
		if (rig->clients[i].fd < 0) {
			rig->clients[i] = (struct rig_client){.fd = fd};
			return;
		}
	}
	if (fd >= 0)
		close(fd);
}

static void answer_waiting(struct rig *rig)
{
	for (size_t i = 0; i < RIG_CLIENTS; i++) {
		struct rig_client *client = &rig->clients[i];

		if (client->fd >= 0 && client->wait_hung != 0 && rig->hung.count >= client->wait_hung) {
			client->wait_hung = 0;
			answer(client, "ok");
		}
	}
}

/* ---- The thread
 * ------------------------------------------------------------------------------------------------------- */

enum { POLL_WAKE, POLL_LISTEN, POLL_CLIENTS, POLL_COUNT = POLL_CLIENTS + RIG_CLIENTS };

/* Waits, without the lock, until something happens or `due_ns` (0: never). */
static void wait_for_events(struct rig *rig, uint64_t due_ns, struct pollfd polled[POLL_COUNT])
{
	struct timespec timeout = {0, 0};
	uint64_t wakes;

	polled[POLL_WAKE] = (struct pollfd){.fd = rig->wake_fd, .events = POLLIN};
	polled[POLL_LISTEN] = (struct pollfd){.fd = rig->listen_fd, .events = POLLIN};
	for (size_t i = 0; i < RIG_CLIENTS; i++)
		polled[POLL_CLIENTS + i] = (struct pollfd){.fd = rig->clients[i].fd, .events = POLLIN};
	if (due_ns != 0) {
		const uint64_t now = rig_now_ns(), left = due_ns > now ? due_ns - now : 0;

		timeout.tv_sec = (time_t)(left / 1000000000u);
		timeout.tv_nsec = (long)(left % 1000000000u);
	}
	if (ppoll(polled, POLL_COUNT, due_ns != 0 ? &timeout : NULL, NULL) <= 0)
		memset(polled, 0, POLL_COUNT * sizeof(*polled));
	if (polled[POLL_WAKE].revents != 0 && read(rig->wake_fd, &wakes, sizeof(wakes)) < 0)
		abort(); /* an eventfd that is readable */
}

static void *run(void *context)
{
	struct rig *rig = context;
	struct pollfd polled[POLL_COUNT];
	uint64_t due_ns;

	pthread_mutex_lock(&rig->lock);
	while (!rig->stop) {
		due_ns = rig_run_due(rig);
		answer_waiting(rig);
		pthread_mutex_unlock(&rig->lock);
		wait_for_events(rig, due_ns, polled);
		pthread_mutex_lock(&rig->lock);
		for (size_t i = 0; i < RIG_CLIENTS; i++)
			if (polled[POLL_CLIENTS + i].revents != 0)
				hear(rig, &rig->clients[i]);
		if (polled[POLL_LISTEN].revents != 0)
			accept_client(rig);
	}
	pthread_mutex_unlock(&rig->lock);
	return NULL;
}

void rig_control_wake(struct rig *rig)
{
	const uint64_t one = 1;

	if (write(rig->wake_fd, &one, sizeof(one)) < 0)
		abort(); /* an eventfd never near its limit */
}

/* ---- Start and stop
 * ----------------------------------------------------------------------------------------------------- */

static int listen_at(struct rig *rig, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	rig->control = strdup(path);
	rig->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (rig->control == NULL || rig->listen_fd < 0)
		return -errno;
	unlink(path);
	if (bind(rig->listen_fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(rig->listen_fd, RIG_CLIENTS) != 0)
		return -errno;
	return 0;
}

int rig_control_start(struct rig *rig, const char *path)
{
	int status = 0;

	rig->listen_fd = -1;
	for (size_t i = 0; i < RIG_CLIENTS; i++)
		rig->clients[i].fd = -1;
	rig->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (rig->wake_fd < 0)
		return -errno;
	if (path != NULL && path[0] != '\0')
		status = listen_at(rig, path);
	if (status == 0)
		status = -pthread_create(&rig->thread, NULL, run, rig);
	rig->thread_runs = status == 0;
	if (status != 0)
		rig_control_stop(rig);
	return status;
}

void rig_control_stop(struct rig *rig)
{
	if (rig->thread_runs) {
		pthread_mutex_lock(&rig->lock);
		rig->stop = true;
		pthread_mutex_unlock(&rig->lock);
		rig_control_wake(rig);
		pthread_join(rig->thread, NULL);
	}
	for (size_t i = 0; i < RIG_CLIENTS; i++)
		if (rig->clients[i].fd >= 0)
			drop(&rig->clients[i]);
	if (rig->listen_fd >= 0) {
		close(rig->listen_fd);
		unlink(rig->control);
	}
	free(rig->control);
	close(rig->wake_fd);
}
