/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include "client.h"

static const struct verb {
	const char *noun, *verb; /* verb NULL: the noun says it all */
	size_t least, most;	 /* words after them */
	const char *words;
	command *run;
} verbs[] = {
    {"target", "list", 0, 0, "", target_list},
    {"target", "show", 1, 1, "IQN", target_show},
    {"target", "create", 1, 1, "IQN", target_create},
    {"target", "set", 1, 1, "IQN [--access any|list] [--auth none|chap] [--alias TEXT]", target_set},
    {"target", "delete", 1, 1, "IQN [--force]", target_delete},
    {"lun", "list", 0, 1, "[IQN]", lun_list},
    {"lun", "show", 2, 2, "IQN LUN", lun_show},
    {"lun", "create", 3, 3, "IQN LUN PATH", lun_create},
    {"lun", "delete", 2, 2, "IQN LUN [--force]", lun_delete},
    {"lun", "resize", 3, 3, "IQN LUN SIZE [--shrink]", lun_resize},
    {"lun", "online", 2, 2, "IQN LUN", lun_online},
    {"lun", "offline", 2, 2, "IQN LUN", lun_offline},
    {"discovery", "show", 0, 0, "", discovery_show},
    {"discovery", "set", 0, 0, "--auth none|chap", discovery_set},
    {"log", "show", 0, 0, "", log_show},
    {"log", "level", 1, 1, "error|warning|info|debug", log_set_level},
    {"tpgt", "list", 0, 0, "", tpgt_list},
    {"tpgt", "create", 2, ARGUMENTS_POSITIONS, "TAG ADDRESS[:PORT]...", tpgt_create},
    {"tpgt", "state", 2, 2, "TAG STATE", tpgt_state},
    {"tpgt", "delete", 1, 1, "TAG", tpgt_delete},
    {"initiator", "list", 1, 1, "IQN", initiator_list},
    {"initiator", "allow", 2, 2,
     "IQN INITIATOR [--address RANGE] [--lun NUMBER]... [--read-only] [--position NUMBER | --replace]",
     initiator_allow},
    {"initiator", "deny", 2, 2, "IQN INITIATOR [--address RANGE]", initiator_deny},
    {"user", "list", 1, 1, "IQN|discovery", user_list},
    {"user", "add", 2, 2, "IQN|discovery USER [--secret-file FILE] [--initiator PATTERN | --mutual]", user_add},
    {"user", "delete", 2, 2, "IQN|discovery USER [--initiator PATTERN | --mutual]", user_delete},
    {"session", "list", 0, 0, "", session_list},
    {"session", "drop", 1, 1, "ID", session_drop},
    {"stats", NULL, 0, 0, "[--watch [--interval SECONDS] [--rounds NUMBER]]", stats_show},
    {"plugin", "list", 0, 0, "", plugin_list},
    {"plugin", "info", 1, 1, "NAME", plugin_info},
    {"plugin", "check", 1, 1, "FILE", plugin_check},
    {"plugin", "rescan", 0, 0, "", plugin_rescan},
    {"config", "show", 0, 0, "", config_show},
    {"config", "save", 1, 1, "FILE", config_save},
    {"config", "reload", 0, 0, "", config_reload},
    {"config", "check", 0, 1, "[FILE]", config_check},
    {"version", NULL, 0, 0, "", version_show},
};

const char *commands_help(void)
{
	return "Usage: tgtkit [-o table|json] [--socket PATH] NOUN VERB [ARGUMENT...]\n"
	       "\n"
	       "  target   list | show IQN | create IQN [--alias TEXT] [--tpgt TAG]... | delete IQN [--force]\n"
	       "           set IQN [--access any|list] [--auth none|chap] [--alias TEXT]   (create takes these, too)\n"
	       "  lun      list [IQN] | show IQN LUN | delete IQN LUN [--force] | online IQN LUN | offline IQN LUN\n"
	       "           create IQN LUN PATH [--size SIZE --create] [--option KEY=VALUE]... [--backend NAME]\n"
	       "                  [--option-file KEY=FILE]... [--block-size BYTES] [--serial TEXT] [--read-only]   "
	       "(LUN auto: the lowest free "
	       "one)\n"
	       "           resize IQN LUN SIZE [--shrink]\n"
	       "  initiator  list IQN | deny IQN INITIATOR [--address RANGE]\n"
	       "           allow IQN INITIATOR [--address RANGE] [--lun NUMBER]... [--read-only]\n"
	       "                 [--position NUMBER | --replace]   (INITIATOR may be a pattern: iqn.*:host?)\n"
	       "  user     list IQN | delete IQN USER [--initiator PATTERN | --mutual]\n"
	       "           add IQN USER [--secret-file FILE] [--initiator PATTERN | --mutual]   (secret: stdin)\n"
	       "           (\"discovery\" in place of an IQN: whoever asks for targets)\n"
	       "  discovery  show | set --auth none|chap\n"
	       "  log      show | level error|warning|info|debug\n"
	       "  tpgt     list | create TAG ADDRESS[:PORT]... [--state STATE] | state TAG STATE | delete TAG\n"
	       "  session  list | drop ID\n"
	       "  plugin   list | info NAME | check FILE | rescan\n"
	       "  config   show | save FILE | reload | check [FILE]\n"
	       "  stats    [--watch [--interval SECONDS] [--rounds NUMBER]]\n"
	       "  version\n"
	       "\n"
	       "Sizes take K, M, G, T or P (powers of 1024).  The daemon's socket is " TGTKIT_RUNDIR "/api.sock.\n"
	       "Exit status: 0 done, 1 refused or failed, 2 usage.  See tgtkit(1).\n";
}

static int run_verb(const struct verb *verb, const struct arguments *arguments)
{
	size_t skip = verb->verb ? 2 : 1, count = arguments->count - skip;

	if (count < verb->least || count > verb->most)
		usage_fail("usage: tgtkit %s%s%s %s", verb->noun, verb->verb ? " " : "", verb->verb ? verb->verb : "",
			   verb->words);
	return verb->run(arguments, arguments->positions + skip, count);
}

int commands_run(const struct arguments *arguments)
{
	const char *noun = arguments->count > 0 ? arguments->positions[0] : NULL;
	const char *word = arguments->count > 1 ? arguments->positions[1] : NULL;
	char known[256] = "";

	if (!noun)
		usage_fail("a noun is missing");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		size_t length = strlen(known);

		if (strcmp(verbs[i].noun, noun))
			continue;
		if (!verbs[i].verb || (word && !strcmp(verbs[i].verb, word)))
			return run_verb(&verbs[i], arguments);
		snprintf(known + length, sizeof(known) - length, "%s%s", length ? ", " : "", verbs[i].verb);
	}
	if (*known)
		usage_fail("%s takes one of: %s", noun, known);
	usage_fail("there is no \"%s\"", noun);
}
