/* SPDX-License-Identifier: Apache-2.0
 *
 * From libconfig's settings to objects: groups by their tables, and what a table's type cannot say.
 */
#ifndef TGTKIT_CONFIG_READERS_H
#define TGTKIT_CONFIG_READERS_H

#include "config/keys.h"

/* A file's name as libconfig tells it, as a path that a person can open.  NULL stays NULL. */
const char *conf_file_name(struct conf_reader *reader, const char *name);
/* Where a setting stands.  "targets[0].luns[2]" is made from its parents. */
void conf_origin_of(struct conf_reader *reader, config_setting_t *setting, struct spec_origin *origin);

/* Reads a group into `object`, whose defaults have been applied; fills `origin`. */
void conf_read_group(struct conf_reader *reader, const struct conf_table *table, config_setting_t *setting,
		     void *object, struct spec_origin *origin);
/* A scalar as text ("true", "-3", "4M").  false: it is no scalar, or a fraction, which has no exact text. */
bool conf_scalar_text(struct conf_reader *reader, config_setting_t *setting, const char **text);
/* The setting is an array or a list. */
bool conf_is_sequence(const config_setting_t *setting);

/* Custom readers: `object` is what the table describes (at the row's offset), `origin` where it stands. */
void conf_read_portal_groups(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
			     void *object);
void conf_read_portals(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
		       void *object);
void conf_read_targets(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
		       void *object);
void conf_read_group_tags(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
			  void *object);
void conf_read_luns(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
		    void *object);
/* Into struct authentication_spec. */
void conf_read_users(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
		     void *object);
void conf_read_initiators(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
			  void *object);
void conf_read_rule_luns(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
			 void *object);
void conf_read_options(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
		       void *object);
void conf_read_option_files(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
			    void *object);

#endif
