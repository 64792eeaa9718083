/* SPDX-License-Identifier: Apache-2.0
 *
 * The nouns and verbs.
 */
#ifndef TGTKIT_CLI_COMMANDS_H
#define TGTKIT_CLI_COMMANDS_H

#include "arguments.h"

const char *commands_help(void);
/* The exit status. */
int commands_run(const struct arguments *arguments);

/* `words` are the positions after noun and verb. */
typedef int command(const struct arguments *arguments, const char *const *words, size_t count);

/* object_commands.c */
command target_list, target_show, target_create, target_delete, lun_list, lun_show, lun_create, lun_delete, lun_resize,
    lun_online, lun_offline, tpgt_list, tpgt_create, tpgt_delete, session_list, session_drop;
/* access_commands.c */
command target_set, initiator_list, initiator_allow, initiator_deny, user_list, user_add, user_delete, tpgt_state,
    discovery_show, discovery_set;
/* log_commands.c */
command log_show, log_set_level;
/* stats_command.c */
command stats_show;
/* plugin_commands.c */
command plugin_list, plugin_info, plugin_rescan;
/* check_commands.c */
command config_check, plugin_check;
/* config_commands.c */
command config_show, config_save, config_reload, version_show;

#endif
