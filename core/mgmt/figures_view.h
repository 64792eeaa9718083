/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures of commands as JSON.
 */
#ifndef TGTKIT_MGMT_FIGURES_VIEW_H
#define TGTKIT_MGMT_FIGURES_VIEW_H

#include <jansson.h>

#include "scsi/figures.h"

/* Sets operations, read_bytes, written_bytes, queue_depth, errors and latency. */
void mgmt_set_figures(json_t *view, const struct scsi_figures *figures);
/* Sets r2ts, received_bytes and sent_bytes. */
void mgmt_set_traffic(json_t *view, uint64_t r2ts, uint64_t received_bytes, uint64_t sent_bytes);

#endif
