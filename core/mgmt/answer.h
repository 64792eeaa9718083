/* SPDX-License-Identifier: Apache-2.0
 *
 * The shapes that answers have.
 */
#ifndef TGTKIT_MGMT_ANSWER_H
#define TGTKIT_MGMT_ANSWER_H

#include <jansson.h>

#include "mgmt/http.h"

/* Takes the reference over; NULL (no memory) is answered by 500. */
void mgmt_answer_json(struct mgmt_request *request, unsigned status, json_t *value);
/* {"error":{"code":...,"message":...}} */
void mgmt_answer_error(struct mgmt_request *request, unsigned status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
