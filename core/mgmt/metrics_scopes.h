/* SPDX-License-Identifier: Apache-2.0
 *
 * The families of metrics that units, sessions, portals, workers and plugins have in common.
 */
#ifndef TGTKIT_MGMT_METRICS_SCOPES_H
#define TGTKIT_MGMT_METRICS_SCOPES_H

#include <stdio.h>

#include "scsi/figures.h"

struct metrics_row {
	char *labels; /* as they stand between the braces; from malloc, or NULL: no memory */
	struct scsi_figures figures;
};

/* HELP and TYPE. */
void metrics_family(FILE *out, const char *name, const char *type, const char *help);
/* KEY="VALUE", escaped, after what `labels` (or NULL, or freed) has. */
char *metrics_label(char *labels, const char *key, const char *value);
/* `more`: further labels, or NULL. */
void metrics_sample(FILE *out, const char *name, const char *labels, const char *more, uint64_t number);

/* PREFIX_operations_total, _bytes_total, _errors_total, _latency_seconds and _queue_depth of all rows; `of` ends the
 * help text: "... of a unit". */
void metrics_write_scope(FILE *out, const char *prefix, const char *of, const struct metrics_row *rows, size_t count);

#endif
