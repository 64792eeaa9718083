/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings.h"

const struct tgtkit_option s3_options[] = {
    {.key = "endpoint",
     .type = TGTKIT_OPTION_STRING,
     .help = "URL of the server, as in https://s3.example.org:8443; else Amazon's of the region"},
    {.key = "region", .type = TGTKIT_OPTION_STRING, .help = "region; else AWS_REGION, the profile's, us-east-1"},
    {.key = "path_style",
     .type = TGTKIT_OPTION_BOOL,
     .help = "bucket in the path rather than in the host name; without it: true where an endpoint is given"},
    {.key = "chunk_size",
     .type = TGTKIT_OPTION_SIZE,
     .default_value = "4M",
     .minimum = 64 << 10,
     .maximum = 64 << 20,
     .help = "bytes of a chunk, a power of two; fixed when the volume is made"},
    {.key = "cache_size",
     .type = TGTKIT_OPTION_SIZE,
     .default_value = "128M",
     .minimum = 1 << 20,
     .maximum = INT64_C(1) << 40,
     .help = "bytes of memory for cached and for not yet stored data; at least eight chunks are taken"},
    {.key = "read_ahead",
     .type = TGTKIT_OPTION_SIZE,
     .default_value = "48M",
     .minimum = 0,
     .maximum = INT64_C(1) << 30,
     .help = "bytes to read ahead of a sequential reader; 0: none"},
    {.key = "max_requests",
     .type = TGTKIT_OPTION_INTEGER,
     .default_value = "32",
     .minimum = 1,
     .maximum = 256,
     .help = "requests to the server at a time, for reading and for writing each"},
    {.key = "timeout_s",
     .type = TGTKIT_OPTION_INTEGER,
     .default_value = "5",
     .minimum = 1,
     .maximum = 300,
     .help = "a request that has not moved a byte for so long is given up and repeated"},
    {.key = "retries",
     .type = TGTKIT_OPTION_INTEGER,
     .default_value = "10",
     .minimum = 0,
     .maximum = 1000,
     .help = "repetitions of a request that failed for a passing reason, within the deadline"},
    {.key = "lease_s",
     .type = TGTKIT_OPTION_INTEGER,
     .default_value = "30",
     .minimum = 3,
     .maximum = 3600,
     .help = "a writer that has been silent for so long has lost the volume; the same on every host"},
    {.key = "access_key", .type = TGTKIT_OPTION_STRING, .help = "access key; with secret_key_file"},
    {.key = "secret_key_file", .type = TGTKIT_OPTION_STRING, .help = "file that holds the secret key"},
    {.key = "session_token_file", .type = TGTKIT_OPTION_STRING, .help = "file that holds a session token"},
    {.key = "profile", .type = TGTKIT_OPTION_STRING, .help = "profile in the shared files; else AWS_PROFILE, default"},
    {.key = "ca_file", .type = TGTKIT_OPTION_STRING, .help = "certificates (PEM) that sign the server's"},
    {.key = "take_over",
     .type = TGTKIT_OPTION_BOOL,
     .default_value = "false",
     .help = "take the volume from a writer that is alive; it is fenced, and the wait of lease_s stays"},
    {.key = NULL},
};

static const struct tgtkit_value *find(const struct tgtkit_value *values, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(values[i].key, key) == 0)
			return &values[i];
	abort(); /* the host hands over every row of the schema */
}

static bool copy(char **out, const char *string)
{
	*out = string == NULL ? NULL : strdup(string);
	return string == NULL || *out != NULL;
}

static const char *objection(const struct s3_settings *settings)
{
	if ((settings->chunk_bytes & (settings->chunk_bytes - 1)) != 0)
		return "chunk_size must be a power of two";
	if ((settings->access_key == NULL) != (settings->secret_key_file == NULL))
		return "access_key and secret_key_file must be given together";
	if (settings->session_token_file != NULL && settings->access_key == NULL)
		return "session_token_file needs access_key and secret_key_file";
	return NULL;
}

int s3_settings_take(const char *path, const struct tgtkit_value *values, size_t count, struct s3_settings *settings,
		     struct tgtkit_error *error)
{
	const struct tgtkit_value *path_style = find(values, count, "path_style");
	const char *wrong;

#define STRING(key)  (find(values, count, key)->as.string)
#define INTEGER(key) ((uint32_t)find(values, count, key)->as.integer)
#define SIZE(key)    (find(values, count, key)->as.size_bytes)
	*settings = (struct s3_settings){.chunk_bytes = (uint32_t)SIZE("chunk_size"),
					 .cache_bytes = SIZE("cache_size"),
					 .read_ahead_bytes = SIZE("read_ahead"),
					 .max_requests = INTEGER("max_requests"),
					 .timeout_s = INTEGER("timeout_s"),
					 .retries = INTEGER("retries"),
					 .lease_s = INTEGER("lease_s"),
					 .take_over = find(values, count, "take_over")->as.boolean};
	settings->is_path_style = path_style->is_set ? path_style->as.boolean : STRING("endpoint") != NULL;
	if (!copy(&settings->path, path) || !copy(&settings->endpoint, STRING("endpoint")) ||
	    !copy(&settings->region, STRING("region")) || !copy(&settings->access_key, STRING("access_key")) ||
	    !copy(&settings->secret_key_file, STRING("secret_key_file")) ||
	    !copy(&settings->session_token_file, STRING("session_token_file")) ||
	    !copy(&settings->profile, STRING("profile")) || !copy(&settings->ca_file, STRING("ca_file"))) {
		s3_settings_free(settings);
		snprintf(error->message, sizeof(error->message), "out of memory");
		return -ENOMEM;
	}
#undef STRING
#undef INTEGER
#undef SIZE
	wrong = objection(settings);
	if (wrong == NULL)
		return 0;
	snprintf(error->message, sizeof(error->message), "%s", wrong);
	s3_settings_free(settings);
	return -EINVAL;
}

void s3_settings_free(struct s3_settings *settings)
{
	free(settings->path);
	free(settings->endpoint);
	free(settings->region);
	free(settings->access_key);
	free(settings->secret_key_file);
	free(settings->session_token_file);
	free(settings->profile);
	free(settings->ca_file);
	*settings = (struct s3_settings){0};
}

int s3_settings_apply(const struct s3_settings *settings, struct s3_client *client, struct tgtkit_error *error)
{
	const char *reason;
	int status;

	client->timeout_s = settings->timeout_s;
	client->attempts = settings->retries + 1;
	if (!copy(&client->region, settings->region) || !copy(&client->ca_file, settings->ca_file)) {
		snprintf(error->message, sizeof(error->message), "out of memory");
		return -ENOMEM;
	}
	status = s3_address_parse(settings->path, settings->endpoint, settings->region, settings->is_path_style,
				  &client->address, &reason);
	if (status != 0)
		snprintf(error->message, sizeof(error->message), "%s", reason);
	return status;
}
