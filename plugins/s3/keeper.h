/* SPDX-License-Identifier: Apache-2.0
 *
 * A thread per open volume that keeps the lease renewed and the credentials fresh, from the opening to the close,
 * whether or not there is I/O, and however busy the worker is.
 */
#ifndef TGTKIT_S3_KEEPER_H
#define TGTKIT_S3_KEEPER_H

#include "volume.h"

int s3_keeper_start(struct s3_volume *volume);
/* Waits for its thread. */
void s3_keeper_stop(struct s3_volume *volume);

#endif
