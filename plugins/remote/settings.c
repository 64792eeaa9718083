/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "settings.h"


enum {
	OPTION_CONNECTIONS,
	OPTION_TIMEOUT_S,
	OPTION_TLS_CERTIFICATES,
	OPTION_TLS_PSK_FILE,
	OPTION_TLS_USERNAME,
	OPTION_REPLAY_SIZE,
};

const struct tgtkit_option remote_options[] = {
    [OPTION_CONNECTIONS] = {.key = "connections",
			    .type = TGTKIT_OPTION_INTEGER,
			    .default_value = "1",
			    .minimum = 1,
			    .maximum = REMOTE_CONNECTION_LIMIT,
			    .help = "connections to the server, if it says that several see the same data"},
    [OPTION_TIMEOUT_S] = {.key = "timeout_s",
			  .type = TGTKIT_OPTION_INTEGER,
			  .default_value = "20",
			  .minimum = 1,
			  .maximum = 3600,
			  .help = "how long a request waits for a server that is gone or silent, in seconds"},
    [OPTION_TLS_CERTIFICATES] = {.key = "tls_certificates",
				 .type = TGTKIT_OPTION_STRING,
				 .help = "folder with ca-cert.pem, and client-cert.pem and client-key.pem if wanted"},
    [OPTION_TLS_PSK_FILE] = {.key = "tls_psk_file",
			     .type = TGTKIT_OPTION_STRING,
			     .help = "file of username:key lines, as psktool makes it"},
    [OPTION_TLS_USERNAME] = {.key = "tls_username",
			     .type = TGTKIT_OPTION_STRING,
			     .help = "the line of the key file to use"},
    [OPTION_REPLAY_SIZE] = {.key = "replay_size",
			    .type = TGTKIT_OPTION_SIZE,
			    .default_value = "32M",
			    .minimum = 0,
			    .maximum = 1 << 30,
			    .help = "how much unflushed data is kept, to write it again to a server that was restarted"},
    {.key = NULL},
};

int remote_fail(struct tgtkit_error *error, int errno_value, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error->message, sizeof(error->message), format, arguments);
	va_end(arguments);
	return -errno_value;
}

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* libnbd parses the rest, when it connects; what it would also take (vsock, files named by the URI) is refused here. */
static int check_uri(struct remote_settings *settings, struct tgtkit_error *error)
{
	const char *uri = settings->uri;
	const bool is_unix = starts_with(uri, "nbd+unix://") || starts_with(uri, "nbds+unix://");

	if (!is_unix && !starts_with(uri, "nbd://") && !starts_with(uri, "nbds://"))
		return remote_fail(error, EINVAL,
				   "'%s' is no URI of an NBD server: write remote:nbd://HOST:PORT/EXPORT, "
				   "remote:nbds://HOST:PORT/EXPORT or remote:nbd+unix:///EXPORT?socket=PATH",
				   uri);
	if (is_unix && strstr(uri, "?socket=") == NULL && strstr(uri, "&socket=") == NULL)
		return remote_fail(error, EINVAL, "'%s' names no socket: write ...:///EXPORT?socket=PATH", uri);
	settings->tls = starts_with(uri, "nbds");
	return 0;
}

static int check_readable(const char *option, const char *folder, const char *file, struct tgtkit_error *error)
{
	char path[4096];

	if ((size_t)snprintf(path, sizeof(path), "%s%s", folder, file) >= sizeof(path))
		return remote_fail(error, ENAMETOOLONG, "%s: the path is too long", option);
	if (access(path, R_OK) != 0)
		return remote_fail(error, errno, "%s: '%s' cannot be read: %s", option, path, strerror(errno));
	return 0;
}

/* libnbd does not check the server's certificate against the system's authorities, so that they are no choice. */
static int check_tls(const struct remote_settings *settings, struct tgtkit_error *error)
{
	if (!settings->tls && (settings->tls_certificates || settings->tls_psk_file || settings->tls_username))
		return remote_fail(error, EINVAL, "'%s' is not encrypted: tls_... options need nbds: or nbds+unix:",
				   settings->uri);
	if (!settings->tls)
		return 0;
	if (settings->tls_certificates != NULL && settings->tls_psk_file != NULL)
		return remote_fail(error, EINVAL, "tls_certificates and tls_psk_file exclude each other");
	if (settings->tls_certificates != NULL)
		return check_readable("tls_certificates", settings->tls_certificates, "/ca-cert.pem", error);
	if (settings->tls_psk_file != NULL)
		return check_readable("tls_psk_file", settings->tls_psk_file, "", error);
	return remote_fail(error, EINVAL, "'%s' needs tls_certificates or tls_psk_file, to know the server by",
			   settings->uri);
}

/* An empty string is as good as none. */
static bool copy_string(const struct tgtkit_value *value, char **copy)
{
	if (value->as.string == NULL || value->as.string[0] == '\0')
		return true;
	*copy = strdup(value->as.string);
	return *copy != NULL;
}

static bool copy_values(struct remote_settings *settings, const struct tgtkit_open_args *args)
{
	const struct tgtkit_value *values = args->values;

	settings->connections = (unsigned)values[OPTION_CONNECTIONS].as.integer;
	settings->timeout_ns = (uint64_t)values[OPTION_TIMEOUT_S].as.integer * NS_PER_S;
	settings->replay_bytes = values[OPTION_REPLAY_SIZE].as.size_bytes;
	settings->uri = strdup(args->path);
	return settings->uri != NULL && copy_string(&values[OPTION_TLS_CERTIFICATES], &settings->tls_certificates) &&
	       copy_string(&values[OPTION_TLS_PSK_FILE], &settings->tls_psk_file) &&
	       copy_string(&values[OPTION_TLS_USERNAME], &settings->tls_username);
}

int remote_settings_read(struct remote_settings *settings, const struct tgtkit_open_args *args,
			 struct tgtkit_error *error)
{
	int status;

	*settings = (struct remote_settings){0};
	status = copy_values(settings, args) ? 0 : remote_fail(error, ENOMEM, "out of memory");
	if (status == 0)
		status = check_uri(settings, error);
	if (status == 0)
		status = check_tls(settings, error);
	if (status != 0)
		remote_settings_free(settings);
	return status;
}

void remote_settings_free(struct remote_settings *settings)
{
	free(settings->uri);
	free(settings->tls_certificates);
	free(settings->tls_psk_file);
	free(settings->tls_username);
	*settings = (struct remote_settings){0};
}
