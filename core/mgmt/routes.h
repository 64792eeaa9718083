/* SPDX-License-Identifier: Apache-2.0
 *
 * Which handler answers which path and method: the table is the whole API, and api/openapi.yaml describes it.
 */
#ifndef TGTKIT_MGMT_ROUTES_H
#define TGTKIT_MGMT_ROUTES_H

#include "mgmt/mgmt_private.h"

/* A mgmt_handler; `context` is the struct mgmt. */
void mgmt_route(void *context, struct mgmt_request *request);

typedef void mgmt_route_handler(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path);

/* views.c */
mgmt_route_handler mgmt_get_version, mgmt_get_health, mgmt_get_targets, mgmt_get_target, mgmt_get_luns, mgmt_get_lun,
    mgmt_get_groups, mgmt_get_group, mgmt_get_config;
/* plugins_view.c */
mgmt_route_handler mgmt_get_plugins, mgmt_get_plugin, mgmt_post_plugins;
/* stats.c, metrics.c */
mgmt_route_handler mgmt_get_stats, mgmt_get_metrics;
/* sessions.c */
mgmt_route_handler mgmt_get_sessions, mgmt_get_session, mgmt_delete_session;
/* edits.c */
mgmt_route_handler mgmt_create_target, mgmt_delete_target, mgmt_create_lun, mgmt_delete_lun, mgmt_create_group,
    mgmt_delete_group;
/* access.c, initiators.c, users.c */
mgmt_route_handler mgmt_change_target, mgmt_get_initiators, mgmt_allow_initiator, mgmt_change_initiator,
    mgmt_deny_initiator, mgmt_get_users, mgmt_add_user, mgmt_delete_user;
/* discovery.c; its users are users.c's */
mgmt_route_handler mgmt_get_discovery, mgmt_change_discovery;
/* log_level.c */
mgmt_route_handler mgmt_get_log, mgmt_change_log;
/* group_state.c */
mgmt_route_handler mgmt_change_group;
/* unit_verbs.c */
mgmt_route_handler mgmt_change_lun;
/* reload.c */
mgmt_route_handler mgmt_post_config;

#endif
