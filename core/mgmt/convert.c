/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/convert.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static bool has_control_bytes(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

static int type_of(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return CONFIG_TYPE_GROUP;
	case JSON_ARRAY:
		return CONFIG_TYPE_LIST;
	case JSON_STRING:
		return CONFIG_TYPE_STRING;
	case JSON_INTEGER:
		return json_integer_value(value) >= INT32_MIN && json_integer_value(value) <= INT32_MAX
			   ? CONFIG_TYPE_INT
			   : CONFIG_TYPE_INT64;
	case JSON_REAL:
		return CONFIG_TYPE_FLOAT;
	case JSON_TRUE:
	case JSON_FALSE:
		return CONFIG_TYPE_BOOL;
	case JSON_NULL:
		break;
	}
	return CONFIG_TYPE_NONE;
}

static bool fill_aggregate(config_setting_t *setting, const json_t *value, char error[static MGMT_CONVERT_ERROR_BYTES])
{
	const char *key;
	json_t *member;
	size_t index;

	if (json_is_array(value)) {
		json_array_foreach(value, index,
				   member) if (!mgmt_json_to_setting(setting, NULL, member, error)) return false;
		return true;
	}
	json_object_foreach((json_t *)value, key,
			    member) if (!mgmt_json_to_setting(setting, key, member, error)) return false;
	return true;
}

static bool fill(config_setting_t *setting, const char *name, const json_t *value,
		 char error[static MGMT_CONVERT_ERROR_BYTES])
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_STRING:
		if (has_control_bytes(json_string_value(value))) {
			snprintf(error, MGMT_CONVERT_ERROR_BYTES, "%.100s: has control characters",
				 name ? name : "a string");
			return false;
		}
		return config_setting_set_string(setting, json_string_value(value));
	case CONFIG_TYPE_INT:
		return config_setting_set_int(setting, (int)json_integer_value(value));
	case CONFIG_TYPE_INT64:
		return config_setting_set_int64(setting, json_integer_value(value));
	case CONFIG_TYPE_FLOAT:
		return config_setting_set_float(setting, json_real_value(value));
	case CONFIG_TYPE_BOOL:
		return config_setting_set_bool(setting, json_is_true(value));
	default:
		return fill_aggregate(setting, value, error);
	}
}

config_setting_t *mgmt_json_to_setting(config_setting_t *to, const char *name, const json_t *value,
				       char error[static MGMT_CONVERT_ERROR_BYTES])
{
	config_setting_t *setting;

	if (json_is_null(value)) {
		snprintf(error, MGMT_CONVERT_ERROR_BYTES, "%.100s: null is no value; leave the key away",
			 name ? name : "an item");
		return NULL;
	}
	setting = config_setting_add(to, name, type_of(value));
	if (!setting) {
		snprintf(error, MGMT_CONVERT_ERROR_BYTES, "%.100s: is no key", name ? name : "an item");
		return NULL;
	}
	return fill(setting, name, value, error) ? setting : NULL;
}

/* Names of files need not be UTF-8, strings of JSON have to be. */
static json_t *string_to_json(const char *text)
{
	json_t *value = json_string(text);

	return value ? value : json_string("(not UTF-8)");
}

json_t *mgmt_setting_to_json(const config_setting_t *setting)
{
	json_t *value;

	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return json_integer(config_setting_get_int64(setting));
	case CONFIG_TYPE_FLOAT:
		return json_real(config_setting_get_float(setting));
	case CONFIG_TYPE_BOOL:
		return json_boolean(config_setting_get_bool(setting));
	case CONFIG_TYPE_STRING:
		return string_to_json(config_setting_get_string(setting));
	default:
		break;
	}
	value = config_setting_is_group(setting) ? json_object() : json_array();
	for (int i = 0; value && i < config_setting_length(setting); i++) {
		const config_setting_t *member = config_setting_get_elem(setting, (unsigned)i);

		if (config_setting_is_group(setting))
			json_object_set_new(value, config_setting_name(member), mgmt_setting_to_json(member));
		else
			json_array_append_new(value, mgmt_setting_to_json(member));
	}
	return value;
}
