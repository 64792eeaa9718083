/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine: one curl multi handle with kept-alive connections that carries out calls, repeats them after a while, and
 * keeps to their deadlines.  One thread at a time uses an engine: a worker's loop, or a thread that may block.
 */
#ifndef TGTKIT_S3_HTTP_H
#define TGTKIT_S3_HTTP_H

#include "call.h"

/* NULL: no memory.  `worker` NULL: driven by s3_http_run_until. */
struct s3_http *s3_http_new(struct tgtkit_worker *worker);
/* No call is under way. */
void s3_http_free(struct s3_http *http);

/* Never calls `done` before it returns. */
void s3_http_start(struct s3_http *http, struct s3_call *call);
/* Takes the call back without `done`.  Whether it has had an effect is not known if `was_sent`. */
void s3_http_cancel(struct s3_call *call);
/* Repeats what waits for its time at once: something has changed for the better. */
void s3_http_hurry(struct s3_http *http);

/* For a thread that may block: works until `over`, or nothing is under way, or `until_ns` (0: no limit). */
void s3_http_run_until(struct s3_http *http, bool (*over)(void *context), void *context, uint64_t until_ns);
/* Starts a call, waits for it, returns its status. */
int s3_http_call(struct s3_http *http, struct s3_call *call);

#endif
