/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of core/mgmt share.
 */
#ifndef TGTKIT_MGMT_MGMT_PRIVATE_H
#define TGTKIT_MGMT_MGMT_PRIVATE_H

#include "mgmt/http.h"
#include "mgmt/mgmt.h"
#include "mgmt/path.h"
#include "target/unit.h"

struct mgmt {
	struct mgmt_options options;
	struct target_model *model;
	struct rt_loop *control;
	char *socket_path;
	int fd;
	struct mgmt_http *http;
	uint64_t started_ns;
	struct rt_list operations; /* changes; the first one is under way */
	unsigned verbs;		   /* of units and the pool, whose requests wait */
	bool is_stopping;
	void (*stopped)(void *context);
	void *stopped_context;
};

/* Something that a stop waits for has ended. */
void mgmt_check_stopped(struct mgmt *mgmt);

/* The daemon stops: requests for another size are answered; their units' stop waits for what is under way, or gives up.
 */
void mgmt_resizes_forget(struct mgmt *mgmt);

/* Around every call that looks for plugins: one pool thread at a time may. */
void mgmt_plugins_lock(void);
void mgmt_plugins_unlock(void);

/* The objects of a request; NULL after it has been answered by 404. */
struct target_spec *mgmt_find_target(struct mgmt *mgmt, struct mgmt_request *request, const char *name);
struct lun_spec *mgmt_find_lun(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path,
			       struct target_spec **target);
struct portal_group_spec *mgmt_find_group(struct mgmt *mgmt, struct mgmt_request *request, const char *tag);

/* true: it is the administrator's, and the request has been answered by 409. */
bool mgmt_refuse_if_defined(struct mgmt_request *request, bool made_by_api, const struct spec_origin *origin,
			    const char *what);

#endif
