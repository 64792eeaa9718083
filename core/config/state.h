/* SPDX-License-Identifier: Apache-2.0
 *
 * What the API made, as it is kept: a configuration file of discovery, portal groups and targets.  The trees are edited
 * here and there in place; whether they make sense is found out when their text is read as a configuration.
 */
#ifndef TGTKIT_CONFIG_STATE_H
#define TGTKIT_CONFIG_STATE_H

#include <stdint.h>

#include <libconfig.h>

/* Each is an element of its list, or NULL. */
config_setting_t *conf_state_target(const config_t *state, const char *name);
config_setting_t *conf_state_lun(const config_setting_t *target, uint16_t lun);
config_setting_t *conf_state_group(const config_t *state, uint16_t tag);
void conf_state_remove(config_setting_t *element);
/* Made if it is not there.  NULL: no memory. */
config_setting_t *conf_state_discovery(const config_t *state);
/* What says nothing goes, so that the administrator's file may say it again. */
void conf_state_tidy_discovery(const config_t *state);

/* A store is made once: what says how is not kept, lest one that is missing later be made again, empty. */
void conf_state_forget_creation(const config_t *state);

#endif
