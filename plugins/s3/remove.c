/* SPDX-License-Identifier: Apache-2.0
 *
 * Deletes superseded objects, many at a time, behind everything else.  What a failure leaves is found by tgtkit-s3
 * check.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "objects.h"
#include "unit.h"

#define WORTH_A_REQUEST 64u
#define REMOVE_ATTEMPTS 3u

struct s3_removal {
	struct s3_call call;
	struct s3_unit *unit;
	struct s3_text body;
	struct iovec body_vector;
};

static void free_removal(struct s3_removal *removal)
{
	removal->unit->removal = NULL;
	s3_call_free(&removal->call);
	s3_text_free(&removal->body);
	free(removal);
}

static void call_is_done(struct s3_call *call)
{
	struct s3_removal *removal = call->context;
	struct s3_unit *unit = removal->unit;
	char sentence[400];

	if (call->status != 0) {
		s3_call_describe(call, sentence, sizeof(sentence));
		s3_log(unit->volume->unit, TGTKIT_LOG_INFO,
		       "superseded objects could not be deleted ('tgtkit-s3 check --clean' will): %s", sentence);
	}
	free_removal(removal);
	s3_unit_wake(unit);
}

void s3_remove_pump(struct s3_unit *unit, bool all)
{
	struct s3_volume *volume = unit->volume;
	const size_t count = volume->garbage_count < S3_DELETE_KEYS ? volume->garbage_count : S3_DELETE_KEYS;
	struct s3_removal *removal;

	if (unit->removal != NULL || unit->http == NULL || count == 0 || (!all && count < WORTH_A_REQUEST) ||
	    !s3_volume_may_write(volume))
		return;
	removal = calloc(1, sizeof(*removal));
	if (removal == NULL)
		return;
	removal->unit = unit;
	s3_delete_body(volume->garbage, count, &removal->body);
	for (size_t i = 0; i < count; i++)
		free(volume->garbage[i]);
	volume->garbage_count -= count;
	memmove(volume->garbage, volume->garbage + count, volume->garbage_count * sizeof(*volume->garbage));
	unit->removal = removal;
	if (removal->body.failed) {
		free_removal(removal);
		return;
	}
	s3_delete_call(&removal->call, &volume->client, &removal->body_vector, &removal->body);
	removal->call.attempts = REMOVE_ATTEMPTS;
	removal->call.context = removal;
	removal->call.done = call_is_done;
	s3_http_start(unit->http, &removal->call);
}

void s3_remove_abort(struct s3_unit *unit)
{
	if (unit->removal == NULL)
		return;
	s3_http_cancel(&unit->removal->call);
	free_removal(unit->removal);
}
