/* SPDX-License-Identifier: Apache-2.0 */
#include "config/differ.h"

#include <string.h>

static bool same_texts(const char *const *first, size_t count, const char *const *other, size_t other_count)
{
	bool same = count == other_count;

	for (size_t i = 0; same && i < count; i++)
		same = !strcmp(first[i], other[i]);
	return same;
}

static bool same_text(const char *first, const char *other)
{
	return first && other ? !strcmp(first, other) : first == other;
}

static void note(void *context, const struct conf_key *key)
{
	(void)key;
	*(bool *)context = false;
}

static bool same_group(const struct conf_table *table, const void *first, const void *other)
{
	bool same = true;

	conf_find_differences(table, first, other, note, &same);
	return same;
}

static bool is_same(const struct conf_key *key, const void *first, const void *other)
{
	const void *a = (const char *)first + key->offset, *b = (const char *)other + key->offset;

	switch (key->type) {
	case CONF_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case CONF_U16:
		return *(const uint16_t *)a == *(const uint16_t *)b;
	case CONF_U32:
	case CONF_SIZE32:
		return *(const uint32_t *)a == *(const uint32_t *)b;
	case CONF_SIZE:
		return *(const uint64_t *)a == *(const uint64_t *)b;
	case CONF_STRING:
		return same_text(*(const char *const *)a, *(const char *const *)b);
	case CONF_STRINGS:
		return same_texts(
		    *(const char *const *const *)a, *(const size_t *)((const char *)first + key->count_offset),
		    *(const char *const *const *)b, *(const size_t *)((const char *)other + key->count_offset));
	case CONF_GROUP:
		return same_group(key->group, a, b);
	case CONF_PARSED:
	case CONF_CUSTOM:
	case CONF_UNAVAILABLE:
		break;
	}
	return true;
}

void conf_find_differences(const struct conf_table *table, const void *first, const void *other,
			   void (*differs)(void *context, const struct conf_key *key), void *context)
{
	for (size_t i = 0; i < table->count; i++)
		if (!is_same(&table->keys[i], first, other))
			differs(context, &table->keys[i]);
}

const char *conf_change_name(enum conf_change change)
{
	switch (change) {
	case CONF_LIVE:
		return "live";
	case CONF_REOPEN:
		return "reopen";
	case CONF_RECREATE:
		return "recreate";
	case CONF_RESTART:
		break;
	}
	return "restart";
}
