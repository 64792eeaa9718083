/* SPDX-License-Identifier: Apache-2.0
 *
 * A change asked for through the API or by SIGHUP.  They run one after another:
 * edit what is kept -> read and check it as a configuration (pool) -> change the model (apply.c) -> answer.
 */
#ifndef TGTKIT_MGMT_OPERATION_H
#define TGTKIT_MGMT_OPERATION_H

#include <jansson.h>
#include <libconfig.h>

#include "mgmt/mgmt_private.h"

#define MGMT_PROBLEMS_BYTES 4096

struct mgmt_operation {
	struct rt_list node;
	struct mgmt *mgmt;
	struct mgmt_request *request; /* NULL: nobody waits for an answer */
	/* What the request says; the operation's own. */
	json_t *body;
	char *name; /* of the target */
	bool of_discovery;
	uint32_t number;
	bool force;
	/* Units whose attributes differ are closed and opened anew, which their initiators notice; without it, refused.
	 */
	bool may_reopen;
	/* When its turn has come: changes `tree`; or answers the request and returns false.  NULL: a reload. */
	bool (*edit)(struct mgmt_operation *operation);
	/* The change is in force. */
	void (*answer)(struct mgmt_operation *operation);
	config_t tree;
	/* On its way. */
	char *text, *kept_text; /* with how to create stores, and without */
	bool secret_not_kept;	/* the state folder is to blame */
	struct {
		unsigned status; /* 0: the change is in force */
		const char *code;
		char message[MGMT_PROBLEMS_BYTES];
	} outcome;
	struct target_configuration *configuration, *old;
	struct target_configuration *between; /* on the way from the old one to it, without what is to be opened anew */
	json_t *warnings;		      /* of a reload; array of strings */
	char problems[MGMT_PROBLEMS_BYTES];
	size_t problems_length;
	struct store_job job;
	struct rt_post prepared, swept;
	struct target_change change;
	struct target_change failed; /* while the old configuration is brought back */
};

/* With the names of the request's path, as far as they are there (targets/NAME/.../NUMBER).  NULL: answered, there is
 * no memory. */
struct mgmt_operation *mgmt_operation_create(struct mgmt *mgmt, struct mgmt_request *request);
void mgmt_operation_start(struct mgmt_operation *operation);
/* From operation.c to apply.c: the configuration has been checked.  It ends with mgmt_operation_applied, or with
 * mgmt_operation_fail. */
void mgmt_operation_apply(struct mgmt_operation *operation);
void mgmt_operation_applied(struct mgmt_operation *operation);
void mgmt_operation_fail(struct mgmt_operation *operation, unsigned status, const char *code, const char *message);

/* The daemon stops: those that have not begun never will. */
void mgmt_operations_forget(struct mgmt *mgmt);

#endif
