/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 on a Unix socket, on the control loop: GNU libmicrohttpd with its own epoll set inside ours.  Nothing here
 * blocks: a request that cannot be answered at once is suspended and answered later.
 *
 * That a change is in force is said only once every worker has heard of it: an initiator that comes after the answer
 * meets it, with the unit attention that belongs to it.
 */
#ifndef TGTKIT_MGMT_HTTP_H
#define TGTKIT_MGMT_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "rt/loop.h"

#define MGMT_BODY_LIMIT_BYTES (1u << 20)

struct mgmt_http;
struct mgmt_request;

/* Each is answered exactly once by mgmt_request_answer, in the call or later.  `path` is decoded piece by piece by
 * whoever reads it, as %2F is no separator. */
typedef void mgmt_handler(void *context, struct mgmt_request *request);

/* `fd` listens and stays the caller's.  `sent` is called whenever mgmt_http_is_busy may have become false.  0 or
 * negative errno. */
int mgmt_http_start(struct rt_loop *control, int fd, mgmt_handler *handle, void (*sent)(void *context), void *context,
		    struct mgmt_http **http);
/* An answer waits for the workers, which must not stop before. */
bool mgmt_http_is_busy(const struct mgmt_http *http);
/* Nothing new is accepted; the listening descriptor may be closed. */
void mgmt_http_quiesce(struct mgmt_http *http);
/* After mgmt_http_quiesce.  Requests that are not answered yet are by 503. */
void mgmt_http_stop(struct mgmt_http *http);

const char *mgmt_request_method(const struct mgmt_request *request);
const char *mgmt_request_path(const struct mgmt_request *request); /* without the query; still encoded */
/* NULL: not given.  "" for a bare name. */
const char *mgmt_request_query(struct mgmt_request *request, const char *name);
const char *mgmt_request_body(const struct mgmt_request *request, size_t *length);

/* Takes `text` (from malloc) over. */
void mgmt_request_answer(struct mgmt_request *request, unsigned status, const char *content_type, char *text,
			 size_t length);

#endif
