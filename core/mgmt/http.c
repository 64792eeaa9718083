/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "rt/log.h"
#include "rt/worker.h"

/* The socket is for administrators: enough for scripts that run side by side, too little to fill the memory. */
#define CONNECTION_LIMIT      128u
#define CONNECTION_BYTES      (32u << 10)
#define SILENCE_LIMIT_S	      10u
#define REQUEST_LIMIT_NS      UINT64_C(30000000000) /* from the first byte of a body to its last */
#define MILLISECONDS_TO_US(x) ((x)*UINT64_C(1000))

struct mgmt_http {
	struct rt_loop *control;
	struct MHD_Daemon *daemon;
	struct rt_fd epoll;
	struct rt_timer timer;
	mgmt_handler *handle;
	void (*sent)(void *context);
	void *context;
	unsigned touring;	/* requests whose answer waits for the workers */
	struct rt_list waiting; /* requests that are suspended */
};

struct mgmt_request {
	struct mgmt_http *http;
	struct MHD_Connection *connection;
	struct rt_list in_waiting;
	const char *method;
	char *path;
	char *body;
	size_t body_length;
	uint64_t started_ns;
	bool too_large, handling, suspended, answered, queued;
	unsigned status;
	const char *content_type;
	char *answer;
	size_t answer_length;
	struct rt_workers_tour tour;
};

/* ---- Reading a request ------------------------------------------------------------------------------------------ */

static struct mgmt_request *request_new(struct mgmt_http *http, struct MHD_Connection *connection, const char *path,
					const char *method)
{
	struct mgmt_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->http = http;
	request->connection = connection;
	request->method = method;
	request->path = strdup(path);
	request->started_ns = rt_clock_ns();
	rt_list_init(&request->in_waiting);
	if (request->path)
		return request;
	free(request);
	return NULL;
}

static void request_ended(void *context, struct MHD_Connection *connection, void **state,
			  enum MHD_RequestTerminationCode code)
{
	struct mgmt_request *request = *state;

	(void)context;
	(void)connection;
	(void)code;
	if (!request)
		return;
	rt_list_remove(&request->in_waiting);
	free(request->path);
	free(request->body);
	free(request->answer);
	free(request);
	*state = NULL;
}

/* What goes beyond the limit is read and dropped, so that the client gets to read the answer. */
static enum MHD_Result take_body(struct mgmt_request *request, const char *data, size_t length)
{
	char *grown;

	if (rt_clock_ns() - request->started_ns > REQUEST_LIMIT_NS)
		return MHD_NO;
	request->too_large |= length > MGMT_BODY_LIMIT_BYTES - request->body_length;
	if (request->too_large)
		return MHD_YES;
	grown = realloc(request->body, request->body_length + length + 1);
	if (!grown)
		return MHD_NO;
	memcpy(grown + request->body_length, data, length);
	request->body = grown;
	request->body_length += length;
	request->body[request->body_length] = '\0';
	return MHD_YES;
}

/* ---- Answering it ----------------------------------------------------------------------------------------------- */

static enum MHD_Result queue_answer(struct mgmt_request *request)
{
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(request->answer_length, request->answer, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	request->answer = NULL;
	request->queued = true;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, request->content_type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	result = MHD_queue_response(request->connection, request->status, response);
	MHD_destroy_response(response);
	return result;
}

static void answer_too_large(struct mgmt_request *request)
{
	static const char text[] =
	    "{\"error\":{\"code\":\"too_large\",\"message\":\"the body is larger than 1 MiB\"}}\n";

	mgmt_request_answer(request, MHD_HTTP_CONTENT_TOO_LARGE, "application/json", strdup(text), strlen(text));
}

static enum MHD_Result handle_request(struct mgmt_request *request)
{
	struct mgmt_http *http = request->http;

	request->handling = true;
	if (request->too_large)
		answer_too_large(request);
	else
		http->handle(http->context, request);
	request->handling = false;
	if (request->answered)
		return queue_answer(request);
	request->suspended = true;
	rt_list_append(&http->waiting, &request->in_waiting);
	MHD_suspend_connection(request->connection);
	return MHD_YES;
}

/* Called for the headers, for each piece of the body, after the body, and again after a resume. */
static enum MHD_Result take_call(void *context, struct MHD_Connection *connection, const char *url, const char *method,
				 const char *version, const char *upload_data, size_t *upload_data_size, void **state)
{
	struct mgmt_request *request = *state;
	enum MHD_Result result;

	(void)version;
	if (!request) {
		request = request_new(context, connection, url, method);
		*state = request;
		return request ? MHD_YES : MHD_NO;
	}
	if (*upload_data_size) {
		result = take_body(request, upload_data, *upload_data_size);
		*upload_data_size = 0;
		return result;
	}
	if (request->answered)
		return queue_answer(request);
	return handle_request(request);
}

/* ---- Inside the control loop ------------------------------------------------------------------------------------ */

static void turn(struct mgmt_http *http)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	MHD_run(http->daemon);
	if (MHD_get_timeout(http->daemon, &timeout_ms) == MHD_YES)
		rt_timer_arm(http->control, &http->timer, MILLISECONDS_TO_US(timeout_ms));
	else
		rt_timer_cancel(&http->timer);
}

static void epoll_ready(struct rt_fd *watched, uint32_t events)
{
	(void)events;
	turn(RT_CONTAINER_OF(watched, struct mgmt_http, epoll));
}

static void time_is_up(struct rt_timer *timer)
{
	turn(RT_CONTAINER_OF(timer, struct mgmt_http, timer));
}

static void deliver(struct mgmt_request *request)
{
	request->answered = true;
	if (!request->suspended)
		return;
	request->suspended = false;
	rt_list_remove(&request->in_waiting);
	MHD_resume_connection(request->connection);
	rt_timer_arm(request->http->control, &request->http->timer, 0);
}

static void told_everywhere(struct rt_workers_tour *tour)
{
	struct mgmt_request *request = RT_CONTAINER_OF(tour, struct mgmt_request, tour);
	struct mgmt_http *http = request->http;

	http->touring--;
	deliver(request);
	http->sent(http->context);
}

static bool has_changed_something(const struct mgmt_request *request)
{
	return request->status < MHD_HTTP_MULTIPLE_CHOICES && strcmp(request->method, MHD_HTTP_METHOD_GET) != 0 &&
	       strcmp(request->method, MHD_HTTP_METHOD_HEAD) != 0;
}

void mgmt_request_answer(struct mgmt_request *request, unsigned status, const char *content_type, char *text,
			 size_t length)
{
	request->status = status;
	request->content_type = content_type;
	request->answer = text;
	request->answer_length = text ? length : 0;
	if (!has_changed_something(request)) {
		deliver(request);
		return;
	}
	request->http->touring++;
	request->tour = (struct rt_workers_tour){.finished = told_everywhere, .home = request->http->control};
	rt_workers_tour_start(&request->tour);
}

/* ---- Start and end ---------------------------------------------------------------------------------------------- */

/* Paths stay encoded until they have been split. */
static size_t leave_encoded(void *context, struct MHD_Connection *connection, char *text)
{
	(void)context;
	(void)connection;
	return strlen(text);
}

static int watch(struct mgmt_http *http)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	if (!info)
		return -ENOTSUP;
	http->epoll = (struct rt_fd){.fd = info->epoll_fd, .ready = epoll_ready};
	http->timer.expired = time_is_up;
	return rt_fd_add(http->control, &http->epoll, RT_FD_READ);
}

int mgmt_http_start(struct rt_loop *control, int fd, mgmt_handler *handle, void (*sent)(void *context), void *context,
		    struct mgmt_http **started)
{
	struct mgmt_http *http = calloc(1, sizeof(*http));
	int status;

	if (!http)
		return -ENOMEM;
	http->control = control;
	http->handle = handle;
	http->sent = sent;
	http->context = context;
	rt_list_init(&http->waiting);
	http->daemon = MHD_start_daemon(
	    MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, take_call, http, MHD_OPTION_LISTEN_SOCKET, fd,
	    MHD_OPTION_CONNECTION_LIMIT, CONNECTION_LIMIT, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
	    MHD_OPTION_CONNECTION_TIMEOUT, SILENCE_LIMIT_S, MHD_OPTION_NOTIFY_COMPLETED, request_ended, NULL,
	    MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, NULL, MHD_OPTION_END);
	status = http->daemon ? watch(http) : -EIO;
	if (status) {
		if (http->daemon)
			MHD_stop_daemon(http->daemon);
		free(http);
		return status;
	}
	*started = http;
	return 0;
}

static void answer_stopping(struct mgmt_request *request)
{
	static const char text[] = "{\"error\":{\"code\":\"stopping\",\"message\":\"the daemon is stopping\"}}\n";

	mgmt_request_answer(request, MHD_HTTP_SERVICE_UNAVAILABLE, "application/json", strdup(text), strlen(text));
}

bool mgmt_http_is_busy(const struct mgmt_http *http)
{
	return http->touring > 0;
}

void mgmt_http_quiesce(struct mgmt_http *http)
{
	MHD_quiesce_daemon(http->daemon);
	turn(http);
}

void mgmt_http_stop(struct mgmt_http *http)
{
	while (!rt_list_is_empty(&http->waiting))
		answer_stopping(RT_CONTAINER_OF(http->waiting.next, struct mgmt_request, in_waiting));
	MHD_run(http->daemon);
	rt_timer_cancel(&http->timer);
	rt_fd_remove(&http->epoll);
	MHD_stop_daemon(http->daemon);
	free(http);
}

/* ---- What a request says ---------------------------------------------------------------------------------------- */

const char *mgmt_request_method(const struct mgmt_request *request)
{
	return request->method;
}

const char *mgmt_request_path(const struct mgmt_request *request)
{
	return request->path;
}

const char *mgmt_request_query(struct mgmt_request *request, const char *name)
{
	const char *value = NULL;

	if (MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name), &value,
					  NULL) != MHD_YES)
		return NULL;
	return value ? value : "";
}

const char *mgmt_request_body(const struct mgmt_request *request, size_t *length)
{
	*length = request->body_length;
	return request->body ? request->body : "";
}
