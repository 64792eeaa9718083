/* SPDX-License-Identifier: Apache-2.0 */
#include "target/differ.h"

#include <string.h>

static const char *setting_value(const struct lun_spec *lun, const char *key)
{
	for (size_t i = 0; i < lun->setting_count; i++)
		if (!strcmp(lun->settings[i].key, key))
			return lun->settings[i].value;
	return NULL;
}

bool target_same_settings(const struct lun_spec *a, const struct lun_spec *b)
{
	for (size_t i = 0; i < b->setting_count; i++) {
		const char *value = setting_value(a, b->settings[i].key);

		if (!value || strcmp(value, b->settings[i].value))
			return false;
	}
	return a->setting_count == b->setting_count;
}

const char *target_unit_difference(const struct lun_spec *first, const struct lun_spec *other)
{
	const struct {
		const char *key;
		bool same;
	} attributes[] = {
	    {"block_size", first->block_size == other->block_size},
	    {"physical_block_size", first->physical_block_size == other->physical_block_size},
	    {"serial", !strcmp(first->serial, other->serial)},
	    {"vendor", !strcmp(first->vendor, other->vendor)},
	    {"product", !strcmp(first->product, other->product)},
	    {"removable", first->removable == other->removable},
	    {"thin", first->thin == other->thin},
	    {"write_cache", first->write_cache == other->write_cache},
	    {"features", !memcmp(&first->features, &other->features, sizeof(first->features))},
	    {"options", target_same_settings(first, other)},
	};

	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
		if (!attributes[i].same)
			return attributes[i].key;
	return NULL;
}
