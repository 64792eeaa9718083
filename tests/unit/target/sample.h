/* SPDX-License-Identifier: Apache-2.0
 *
 * Configurations as core/config would make them.
 */
#ifndef TGTKIT_TESTS_UNIT_TARGET_SAMPLE_H
#define TGTKIT_TESTS_UNIT_TARGET_SAMPLE_H

#include "target/spec.h"

/* An empty one that keeps no state, with portal group 1 on 127.0.0.1:3260, and room for a few targets and groups. */
void sample_init(struct target_configuration *configuration);
struct portal_group_spec *sample_add_group(struct target_configuration *configuration, uint16_t tag,
					   const char *first_portal, const char *second_portal);
/* "iqn.2026-11.org.example:NAME", in group 1, with room for a few LUNs; its origin is line 100, 200, ... of "f". */
struct target_spec *sample_add_target(struct target_configuration *configuration, const char *name);
/* Its origin is the target's line plus its number in the target plus 1.  The keys it was given are `lun` and `path`. */
struct lun_spec *sample_add_lun(struct target_configuration *configuration, struct target_spec *target, uint16_t lun,
				const char *path);
/* Says that `key` was given, on the LUN's own line. */
void sample_give(struct target_configuration *configuration, struct spec_origin *origin, const char *key);

/* What was reported, each with a newline. */
extern char sample_problems[8192];
extern struct spec_problems sample_problem_sink;

#endif
