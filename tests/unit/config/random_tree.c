/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/config/random_tree.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint32_t below(struct random_tree *random, uint32_t limit)
{
	random->state = random->state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random->state >> 33) % limit;
}

static bool coin(struct random_tree *random)
{
	return below(random, 2) == 0;
}

/* Often at an edge. */
static uint64_t between(struct random_tree *random, uint64_t low, uint64_t high)
{
	uint64_t wide = (uint64_t)below(random, UINT32_MAX) << 32 | below(random, UINT32_MAX);

	switch (below(random, 4)) {
	case 0:
		return low;
	case 1:
		return high;
	default:
		return high - low == UINT64_MAX ? wide : low + wide % (high - low + 1);
	}
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

static void visit_table(const struct conf_table *table, unsigned *number,
			void (*visit)(void *context, const struct conf_table *table, const struct conf_key *key,
				      unsigned number),
			void *context)
{
	for (size_t i = 0; i < table->count; i++) {
		visit(context, table, &table->keys[i], (*number)++);
		if (table->keys[i].type == CONF_GROUP)
			visit_table(table->keys[i].group, number, visit, context);
	}
}

void random_tree_rows(void (*visit)(void *context, const struct conf_table *table, const struct conf_key *key,
				    unsigned number),
		      void *context)
{
	static const struct conf_table *const tables[] = {
	    &conf_file_table, &conf_portal_group_table, &conf_portal_table,    &conf_target_table,
	    &conf_lun_table,  &conf_user_table,		&conf_initiator_table,
	};
	unsigned number = 0;

	for (size_t i = 0; i < COUNT(tables); i++)
		visit_table(tables[i], &number, visit, context);
}

struct use {
	struct random_tree *random;
	const struct conf_key *key;
};

static void note(void *context, const struct conf_table *table, const struct conf_key *key, unsigned number)
{
	struct use *use = context;

	(void)table;
	ck_assert_uint_lt(number, sizeof(use->random->used));
	if (key == use->key)
		use->random->used[number] = 1;
}

static void note_use(struct random_tree *random, const struct conf_key *key)
{
	random_tree_rows(note, &(struct use){random, key});
}

/* ---- Scalars ---------------------------------------------------------------------------------------------------- */

static config_setting_t *add(config_setting_t *to, const char *name, int type)
{
	config_setting_t *setting = config_setting_add(to, config_setting_is_group(to) ? name : NULL, type);

	ck_assert_msg(setting != NULL, "%s stands there already, or is no key", name != NULL ? name : "an element");
	return setting;
}

static void add_string(config_setting_t *to, const char *name, const char *text)
{
	config_setting_set_string(add(to, name, CONFIG_TYPE_STRING), text);
}

static void add_number(struct random_tree *random, config_setting_t *to, const char *name, uint64_t value)
{
	config_setting_t *setting;

	if (value <= INT32_MAX) {
		setting = add(to, name, CONFIG_TYPE_INT);
		config_setting_set_int(setting, (int)value);
	} else {
		setting = add(to, name, CONFIG_TYPE_INT64);
		config_setting_set_int64(setting, (long long)value);
	}
	if (coin(random))
		config_setting_set_format(setting, CONFIG_FORMAT_HEX);
}

static void add_size(struct random_tree *random, config_setting_t *to, const struct conf_key *key)
{
	static const char units[] = "KMGTP";
	uint64_t value = between(random, key->minimum, key->maximum);
	unsigned unit = 0;
	char text[32];

	if (coin(random)) {
		add_number(random, to, key->name, value);
		return;
	}
	/* As large a unit as does not leave the range. */
	for (; unit + 1 < sizeof(units) && value >> (10 * (unit + 1)) &&
	       (value >> (10 * (unit + 1))) << (10 * (unit + 1)) >= key->minimum;
	     unit++)
		;
	if (unit == 0)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	else
		snprintf(text, sizeof(text), "%llu%c", (unsigned long long)(value >> (10 * unit)), units[unit - 1]);
	add_string(to, key->name, text);
}

/* Whatever text the key's own check takes. */
static void random_text(struct random_tree *random, const struct conf_key *key, char *text, size_t size)
{
	static const char *const pieces[] = {
	    "a",	"B7",		" ",   "\"", "\\",  "#",  "//", "/*", "*/",    "@include",
	    "\xc3\xbc", "\xe2\x82\xac", "{};", "=",  "\\n", "%s", "0x", "'",  "$HOME", "-",
	};
	static const char *const controls[] = {"\n", "\t", "\x01", "\x7f", "\xff", "\r", "\f"};

	do {
		unsigned count = below(random, 6);

		text[0] = '\0';
		for (unsigned i = 0; i < count; i++) {
			bool control = random->has_control_bytes && below(random, 4) == 0;

			strncat(text,
				control ? controls[below(random, COUNT(controls))]
					: pieces[below(random, COUNT(pieces))],
				size - strlen(text) - 1);
		}
	} while (key->check && key->check(text));
}

/* Of those keys whose check lets few texts pass, and of those that have to be unlike others'. */
static const struct {
	const char *key;
	const char *values[4];
} strings[] = {
    {"socket", {"/run/a/api.sock", "", "/tmp/with space.sock", "/\xc3\xbc"}},
    {"log_level", {"error", "warning", "info", "debug"}},
    {"listen", {"127.0.0.1:3260", "[::1]:3261", "0.0.0.0", "[2001:db8::1]:65535"}},
    {"advertise", {"203.0.113.5:3260", "host.example.org", "[2001:db8::2]", "host.example.org:1"}},
    {"mode", {"0660", "600", "0777", "0001"}},
    {"auth", {"none", "chap", "none", "chap"}},
    {"access", {"any", "list", "any", "list"}},
    {"address", {"", "10.0.0.0/8", "2001:db8::/32", "127.0.0.1"}},
    {"alua_state", {"active/optimized", "active/non-optimized", "standby", "unavailable"}},
};

static const char *known_string(struct random_tree *random, const char *key)
{
	for (size_t i = 0; i < COUNT(strings); i++)
		if (!strcmp(strings[i].key, key))
			return strings[i].values[below(random, 4)];
	return NULL;
}

static void add_text(struct random_tree *random, config_setting_t *to, const struct conf_table *table,
		     const struct conf_key *key)
{
	const char *known = known_string(random, key->name);
	char text[128];

	if (table == &conf_target_table && !strcmp(key->name, "name"))
		snprintf(text, sizeof(text), "%s.2026-11.org.Example:%u", random->is_made ? "iqn" : "IQN",
			 random->names++);
	else if (!known)
		random_text(random, key, text, sizeof(text));
	add_string(to, key->name, known ? known : text);
}

/* ---- Lists of words --------------------------------------------------------------------------------------------- */

static const struct {
	const char *key;
	const char *words[4];
} lists[] = {
    {"header_digest", {"none", "crc32c"}},
    {"data_digest", {"CRC32C", "None"}},
    {"chap_algorithms", {"md5", "sha1", "sha256", "sha3-256"}},
};

static void add_words(struct random_tree *random, config_setting_t *to, const char *key, const char *const *words,
		      unsigned count)
{
	static const int types[] = {CONFIG_TYPE_ARRAY, CONFIG_TYPE_LIST, CONFIG_TYPE_STRING};
	int type = types[below(random, COUNT(types))];
	unsigned first = below(random, count), taken = 1 + below(random, count);
	config_setting_t *setting = add(to, key, type);
	char text[128] = "";

	for (unsigned i = 0; i < taken; i++) {
		const char *word = words[(first + i) % count];

		if (type == CONFIG_TYPE_STRING)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? "," : "", word);
		else
			add_string(setting, NULL, word);
	}
	if (type == CONFIG_TYPE_STRING)
		config_setting_set_string(setting, text);
}

static void add_parsed(struct random_tree *random, config_setting_t *to, const struct conf_table *table,
		       const struct conf_key *key)
{
	for (size_t i = 0; i < COUNT(lists); i++)
		if (!strcmp(lists[i].key, key->name)) {
			add_words(random, to, key->name, lists[i].words, lists[i].words[2] ? 4 : 2);
			return;
		}
	ck_assert_msg(known_string(random, key->name) != NULL,
		      "%s of %s: no value is known for it: add it to this file", key->name, table->name);
	add_text(random, to, table, key);
}

static void add_strings(struct random_tree *random, config_setting_t *to, const struct conf_key *key)
{
	config_setting_t *setting = add(to, key->name, coin(random) ? CONFIG_TYPE_ARRAY : CONFIG_TYPE_LIST);
	char text[128];

	for (unsigned count = below(random, 3); count > 0; count--) {
		random_text(random, key, text, sizeof(text));
		add_string(setting, NULL, text);
	}
}

/* ---- What a table's type cannot say ----------------------------------------------------------------------------- */

static void fill_group(struct random_tree *random, config_setting_t *group, const struct conf_table *table);

static void add_groups(struct random_tree *random, config_setting_t *to, const char *name,
		       const struct conf_table *table, unsigned most)
{
	config_setting_t *list = add(to, name, CONFIG_TYPE_LIST);

	for (unsigned count = below(random, most + 1); count > 0; count--)
		fill_group(random, add(list, NULL, CONFIG_TYPE_GROUP), table);
}

static void add_portals(struct random_tree *random, config_setting_t *to)
{
	config_setting_t *list = add(to, "portals", CONFIG_TYPE_LIST);

	for (unsigned count = below(random, 3); count > 0; count--)
		if (coin(random))
			add_string(list, NULL, known_string(random, "listen"));
		else
			fill_group(random, add(list, NULL, CONFIG_TYPE_GROUP), &conf_portal_table);
}

static void add_numbers(struct random_tree *random, config_setting_t *to, const char *name, unsigned least,
			uint64_t minimum, uint64_t maximum)
{
	config_setting_t *list = add(to, name, CONFIG_TYPE_LIST);

	for (unsigned count = least + below(random, 3); count > 0; count--)
		add_number(random, list, NULL, between(random, minimum, maximum));
}

/* Of all types that an option may have. */
static void add_options(struct random_tree *random, config_setting_t *to, const char *name, bool are_files)
{
	const struct conf_key any = {.name = "text"};
	config_setting_t *group = add(to, name, CONFIG_TYPE_GROUP);
	char text[128];

	random_text(random, &any, text, sizeof(text));
	add_string(group, "text", text);
	if (are_files || coin(random))
		return;
	config_setting_set_bool(add(group, "truth", CONFIG_TYPE_BOOL), coin(random));
	config_setting_set_int(add(group, "number", CONFIG_TYPE_INT), -(int)below(random, INT32_MAX));
	config_setting_set_int64(add(group, "large", CONFIG_TYPE_INT64), (long long)between(random, 0, INT64_MAX));
}

static void add_custom(struct random_tree *random, config_setting_t *to, const struct conf_table *table,
		       const struct conf_key *key)
{
	bool of_target = table == &conf_target_table;

	if (!strcmp(key->name, "portal_groups") && of_target)
		add_numbers(random, to, key->name, 0, 1, 65535);
	else if (!strcmp(key->name, "portal_groups"))
		add_groups(random, to, key->name, &conf_portal_group_table, 3);
	else if (!strcmp(key->name, "portals"))
		add_portals(random, to);
	else if (!strcmp(key->name, "targets"))
		add_groups(random, to, key->name, &conf_target_table, 3);
	else if (!strcmp(key->name, "luns") && of_target)
		add_groups(random, to, key->name, &conf_lun_table, 3);
	else if (!strcmp(key->name, "luns"))
		add_numbers(random, to, key->name, 1, 0, SCSI_MAXIMUM_LUN);
	else if (!strcmp(key->name, "users"))
		add_groups(random, to, key->name, &conf_user_table, 3);
	else if (!strcmp(key->name, "initiators"))
		add_groups(random, to, key->name, &conf_initiator_table, 3);
	else if (!strcmp(key->name, "options") || !strcmp(key->name, "option_files"))
		add_options(random, to, key->name, !strcmp(key->name, "option_files"));
	else
		ck_abort_msg("%s of %s: nothing is known of it: add it to this file", key->name, table->name);
}

/* ---- Everything ------------------------------------------------------------------------------------------------- */

static uint64_t random_number(struct random_tree *random, const struct conf_table *table, const struct conf_key *key)
{
	if (table == &conf_portal_group_table && !strcmp(key->name, "tag"))
		return (random->is_made ? 1000 : 1) + random->tags++;
	if (table == &conf_lun_table && !strcmp(key->name, "lun"))
		return random->first_lun++;
	return between(random, key->minimum, key->maximum);
}

static void add_key(struct random_tree *random, config_setting_t *to, const struct conf_table *table,
		    const struct conf_key *key)
{
	note_use(random, key);
	switch (key->type) {
	case CONF_BOOL:
		config_setting_set_bool(add(to, key->name, CONFIG_TYPE_BOOL), coin(random));
		break;
	case CONF_U16:
	case CONF_U32:
		add_number(random, to, key->name, random_number(random, table, key));
		break;
	case CONF_SIZE:
	case CONF_SIZE32:
		add_size(random, to, key);
		break;
	case CONF_STRING:
		add_text(random, to, table, key);
		break;
	case CONF_STRINGS:
		add_strings(random, to, key);
		break;
	case CONF_PARSED:
		add_parsed(random, to, table, key);
		break;
	case CONF_GROUP:
		fill_group(random, add(to, key->name, CONFIG_TYPE_GROUP), key->group);
		break;
	case CONF_CUSTOM:
		add_custom(random, to, table, key);
		break;
	case CONF_UNAVAILABLE:
		add_string(to, key->name, key->fallback);
		break;
	}
}

static void fill_group(struct random_tree *random, config_setting_t *group, const struct conf_table *table)
{
	if (table == &conf_target_table)
		random->first_lun = below(random, SCSI_MAXIMUM_LUN - 16);
	for (size_t i = 0; i < table->count; i++) {
		const struct conf_key *key = &table->keys[i];
		bool daemon_only = table == &conf_file_table && !strcmp(key->name, "daemon");

		if (!(random->is_made && daemon_only) && (key->required || below(random, 3)))
			add_key(random, group, table, key);
	}
}

void random_tree_fill(struct random_tree *random, config_t *tree)
{
	fill_group(random, config_root_setting(tree), &conf_file_table);
}
