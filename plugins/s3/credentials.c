/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "credentials.h"
#include "ini.h"

#define SMALL_FILE_LIMIT (1u << 20)

struct profile {
	char *access_key, *secret_key, *session_token, *region;
};

static const char *environment(const char *name)
{
	const char *value = secure_getenv(name);

	return value == NULL || value[0] == '\0' ? NULL : value;
}

char *s3_small_file(const char *path)
{
	FILE *file = fopen(path, "re");
	struct s3_text text = {0};
	char buffer[4096];
	size_t length;

	if (file == NULL)
		return NULL;
	s3_text_add(&text, "");
	while ((length = fread(buffer, 1, sizeof(buffer), file)) > 0 && text.length <= SMALL_FILE_LIMIT)
		s3_text_add_bytes(&text, buffer, length);
	if (ferror(file) || text.length > SMALL_FILE_LIMIT || text.failed)
		s3_text_free(&text);
	fclose(file);
	OPENSSL_cleanse(buffer, sizeof(buffer));
	if (text.length > 0 && text.data[text.length - 1] == '\n')
		text.data[--text.length] = '\0';
	return text.data;
}

static int make(const char *access_key, const char *secret_key, const char *session_token,
		struct s3_credentials **credentials)
{
	*credentials = s3_credentials_new(access_key, secret_key, session_token, 0);
	return *credentials == NULL ? -ENOMEM : 0;
}

/* ---- Options and environment ------------------------------------------------------------------------------------ */

static int from_options(const struct s3_settings *settings, struct s3_credentials **credentials,
			struct tgtkit_error *error)
{
	const char *unreadable = NULL;
	char *secret_key, *session_token = NULL;
	int status = 0;

	if (settings->access_key == NULL)
		return -ENOENT;
	secret_key = s3_small_file(settings->secret_key_file);
	if (secret_key == NULL)
		unreadable = settings->secret_key_file;
	if (settings->session_token_file != NULL) {
		session_token = s3_small_file(settings->session_token_file);
		if (session_token == NULL)
			unreadable = settings->session_token_file;
	}
	if (unreadable != NULL) {
		snprintf(error->message, sizeof(error->message), "%s cannot be read: %s", unreadable, strerror(errno));
		status = -EACCES;
	} else {
		status = make(settings->access_key, secret_key, session_token, credentials);
	}
	free(secret_key);
	free(session_token);
	return status;
}

static int from_environment(struct s3_credentials **credentials)
{
	const char *access_key = environment("AWS_ACCESS_KEY_ID"), *secret_key = environment("AWS_SECRET_ACCESS_KEY");

	if (access_key == NULL || secret_key == NULL)
		return -ENOENT;
	return make(access_key, secret_key, environment("AWS_SESSION_TOKEN"), credentials);
}

/* ---- Shared files ---------------------------------------------------------------------------------------------------
 */

static bool take_setting(void *context, const char *key, const char *value)
{
	static const char *const keys[] = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token", "region"};
	struct profile *profile = context;
	char **fields[] = {&profile->access_key, &profile->secret_key, &profile->session_token, &profile->region};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(key, keys[i]) == 0 && *fields[i] == NULL)
			*fields[i] = strdup(value);
	return true;
}

static void read_shared_file(const char *variable, const char *name, const char *section, struct profile *profile)
{
	const char *home = environment("HOME"), *path = environment(variable);
	struct s3_text whole = {0};
	char *text;

	if (path != NULL)
		s3_text_add(&whole, path);
	else if (home != NULL)
		s3_text_format(&whole, "%s/.aws/%s", home, name);
	text = whole.data == NULL || whole.failed ? NULL : s3_small_file(whole.data);
	if (text != NULL)
		s3_ini_read(text, strlen(text), section, take_setting, profile);
	free(text);
	s3_text_free(&whole);
}

/* The credentials file goes before the config file. */
static struct profile read_profile(const struct s3_settings *settings)
{
	const char *section = settings->profile;
	struct profile profile = {0};

	if (section == NULL)
		section = environment("AWS_PROFILE");
	if (section == NULL)
		section = "default";
	read_shared_file("AWS_SHARED_CREDENTIALS_FILE", "credentials", section, &profile);
	read_shared_file("AWS_CONFIG_FILE", "config", section, &profile);
	return profile;
}

static void free_profile(struct profile *profile)
{
	free(profile->access_key);
	free(profile->secret_key);
	free(profile->session_token);
	free(profile->region);
}

static int from_shared_files(const struct s3_settings *settings, struct s3_credentials **credentials,
			     struct tgtkit_error *error)
{
	struct profile profile = read_profile(settings);
	int status = -ENOENT;

	if (profile.access_key != NULL && profile.secret_key != NULL)
		status = make(profile.access_key, profile.secret_key, profile.session_token, credentials);
	else if (settings->profile != NULL) {
		snprintf(error->message, sizeof(error->message),
			 "the shared files hold no credentials for the profile '%s'", settings->profile);
		status = -EACCES;
	}
	free_profile(&profile);
	return status;
}

int s3_region_find(struct s3_settings *settings)
{
	const char *region = environment("AWS_REGION");
	struct profile profile = {0};

	if (settings->region != NULL)
		return 0;
	if (region == NULL)
		region = environment("AWS_DEFAULT_REGION");
	if (region == NULL) {
		profile = read_profile(settings);
		region = profile.region;
	}
	settings->region = strdup(region == NULL ? "us-east-1" : region);
	free_profile(&profile);
	return settings->region == NULL ? -ENOMEM : 0;
}

/* ---- The chain
 * ------------------------------------------------------------------------------------------------------- */

int s3_credentials_find(const struct s3_settings *settings, struct s3_credentials **credentials,
			struct tgtkit_error *error)
{
	int status = from_options(settings, credentials, error);

	error->message[0] = status == -ENOENT ? '\0' : error->message[0];
	/* A profile that the options name goes before what merely stands in the environment. */
	if (status == -ENOENT && settings->profile == NULL)
		status = from_environment(credentials);
	if (status == -ENOENT)
		status = from_shared_files(settings, credentials, error);
	if (status == -ENOENT)
		status = s3_credentials_from_web_identity(settings, credentials, error);
	if (status == -ENOENT)
		status = s3_credentials_from_container(credentials, error);
	if (status == -ENOENT)
		status = s3_credentials_from_instance(credentials, error);
	if (status == -ENOENT)
		snprintf(
		    error->message, sizeof(error->message),
		    "no credentials: give access_key and secret_key_file, or a profile, or set AWS_ACCESS_KEY_ID and "
		    "AWS_SECRET_ACCESS_KEY");
	else if (status == -ENOMEM)
		snprintf(error->message, sizeof(error->message), "out of memory");
	return status == -ENOENT ? -EACCES : status;
}
