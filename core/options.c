/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Usage: tgtkitd [-c FILE] [-f] [--check] [--log-level LEVEL] [--set KEY=VALUE]...\n"
    "       tgtkitd [-f] [--listen ADDRESS[:PORT]]... [--target IQN] PATH...\n"
    "\n"
    "Serves backing stores over iSCSI: those of a configuration file, or each PATH as the next LUN of one target.\n"
    "\n"
    "  -c, --config FILE       the configuration (" TGTKIT_SYSCONFDIR "/tgtkit.conf)\n"
    "  -f, --foreground        stay in the foreground, log to stderr\n"
    "      --check             say whether the configuration is good; serve nothing\n"
    "      --check-plugin FILE say whether the file of a plugin would be accepted; serve nothing\n"
    "      --log-level LEVEL   error, warning, info or debug\n"
    "      --set KEY=VALUE     override a key of the daemon group, for example daemon.workers=2\n"
    "      --listen ADDRESS    a portal, for example 0.0.0.0:3260 or [::]:3260 (127.0.0.1:3260)\n"
    "      --target IQN        the target's name (iqn.2026-11.org.tgtkit:HOSTNAME)\n"
    "      --version, --help\n"
    "\n"
    "A PATH is PREFIX:REST (file:/srv/disk.img, null:1T); without a prefix it is a file.\n"
    "See tgtkitd(8) and tgtkit.conf(5).\n";

static void __attribute__((noreturn)) usage(const char *message)
{
	fprintf(stderr, "tgtkitd: %s\nTry 'tgtkitd --help'.\n", message);
	exit(EXIT_USAGE);
}

static void *array_of(size_t count)
{
	void *array = calloc(count + 1, sizeof(char *));

	if (!array)
		usage("out of memory");
	return array;
}

/* Writes "daemon.log_level=L" into memory of its own, as the other settings come from argv. */
static const char *log_level_setting(const char *level)
{
	static char setting[64];

	snprintf(setting, sizeof(setting), "daemon.log_level=%s", level);
	return setting;
}

enum {
	OPTION_CHECK = 256,
	OPTION_CHECK_PLUGIN,
	OPTION_LOG_LEVEL,
	OPTION_SET,
	OPTION_LISTEN,
	OPTION_TARGET,
	OPTION_VERSION,
	OPTION_HELP
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"foreground", no_argument, NULL, 'f'},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"check-plugin", required_argument, NULL, OPTION_CHECK_PLUGIN},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"set", required_argument, NULL, OPTION_SET},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"target", required_argument, NULL, OPTION_TARGET},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {0},
};

static void take(struct tgtkitd_options *options, int option)
{
	switch (option) {
	case 'c':
		options->config_file = optarg;
		break;
	case 'f':
		options->foreground = true;
		break;
	case OPTION_CHECK:
		options->check = true;
		break;
	case OPTION_CHECK_PLUGIN:
		options->check_plugin = optarg;
		break;
	case OPTION_LOG_LEVEL:
		options->settings[options->setting_count++] = log_level_setting(optarg);
		break;
	case OPTION_SET:
		options->settings[options->setting_count++] = optarg;
		break;
	case OPTION_LISTEN:
		options->listen[options->listen_count++] = optarg;
		break;
	case OPTION_TARGET:
		options->target = optarg;
		break;
	case OPTION_VERSION:
		printf("tgtkitd %s\n", PACKAGE_VERSION);
		exit(EXIT_SUCCESS);
	case OPTION_HELP:
		fputs(help, stdout);
		exit(EXIT_SUCCESS);
	default:
		/* getopt has said what is wrong. */
		fputs("Try 'tgtkitd --help'.\n", stderr);
		exit(EXIT_USAGE);
	}
}

static void take_paths(struct tgtkitd_options *options, int argc, char **argv)
{
	for (int i = optind; i < argc; i++)
		options->paths[options->path_count++] = argv[i];
	if (options->config_file && options->path_count)
		usage("a configuration file (-c) and paths exclude each other");
	if (!options->path_count && (options->listen_count || options->target))
		usage("--listen and --target go with paths to serve; a configuration file has keys for both");
	if (!options->config_file && !options->path_count)
		options->config_file = TGTKIT_SYSCONFDIR "/tgtkit.conf";
}

void tgtkitd_options_parse(int argc, char **argv, struct tgtkitd_options *options)
{
	int option;

	*options = (struct tgtkitd_options){
	    .settings = array_of((size_t)argc),
	    .listen = array_of((size_t)argc),
	    .paths = array_of((size_t)argc),
	};
	while ((option = getopt_long(argc, argv, "c:f", long_options, NULL)) != -1)
		take(options, option);
	take_paths(options, argc, argv);
}

void tgtkitd_options_free(struct tgtkitd_options *options)
{
	free(options->settings);
	free(options->listen);
	free(options->paths);
}
