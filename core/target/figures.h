/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures that outlive units: what each worker and each plugin has done since the start.  Control thread.
 */
#ifndef TGTKIT_TARGET_FIGURES_H
#define TGTKIT_TARGET_FIGURES_H

#include "scsi/figures.h"
#include "target/model.h"

/* The unit's SCSI side, which is quiet, is about to go. */
void target_figures_keep(const struct target_unit *unit);

/* Each adds to `sum`: units that have gone, that are on their way out and that are there. */
void target_figures_of_worker(const struct target_model *model, unsigned worker, struct scsi_figures *sum);
void target_figures_of_plugin(const struct target_model *model, const struct store_plugin *plugin,
			      struct scsi_figures *sum);

#endif
