/* SPDX-License-Identifier: Apache-2.0
 *
 * The asymmetric access states of portal groups (SPC-5 5.18): from the configuration, and what was set since, to every
 * logical unit that is reached through them.  Control thread.
 */
#ifndef TGTKIT_TARGET_ALUA_H
#define TGTKIT_TARGET_ALUA_H

#include "target/model.h"
#include "target/unit.h"

/* A state that was set at run time in place of the one in the administrator's file. */
struct target_alua_override {
	uint16_t tag;
	enum scsi_port_group_state state;
};

/* Before the snapshot of `next` is published: tells each of its `units` the groups and ports through which it will be
 * reached.  A group whose state is the same in both keeps what SET TARGET PORT GROUPS has made of it; where the file's
 * own state changes, an override is over.  At the start `next` is the configuration in force. */
void target_alua_apply(struct target_model *model, const struct target_configuration *next,
		       struct target_unit *const *units);
void target_alua_free(struct target_model *model);

#endif
