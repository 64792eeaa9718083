/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"

const char *lab_endpoint, *lab_folder;
static char endpoint[128], access_key[128], secret_key[128], folder[64], secret_file[96];
static pid_t owner;

static void take_line(const char *line, const char *key, char *out, size_t size)
{
	if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == '=')
		snprintf(out, size, "%.*s", (int)strcspn(line + strlen(key) + 1, "\n"), line + strlen(key) + 1);
}

static void stop(void)
{
	char command[256];

	if (getpid() != owner)
		return;
	snprintf(command, sizeof(command), "sh '%s/ceph.sh' down %s/ceph; rm -rf %s", TEST_LIB, folder, folder);
	if (system(command) != 0)
		fprintf(stderr, "the test server in %s could not be ended\n", folder);
}

static bool take_environment(void)
{
	const char *given = getenv("TGTKIT_S3_TEST_ENDPOINT");

	if (given == NULL)
		return false;
	snprintf(endpoint, sizeof(endpoint), "%s", given);
	snprintf(access_key, sizeof(access_key), "%s", getenv("TGTKIT_S3_TEST_ACCESS_KEY"));
	snprintf(secret_key, sizeof(secret_key), "%s", getenv("TGTKIT_S3_TEST_SECRET_KEY"));
	return true;
}

static void start(void)
{
	char command[256], line[256];
	FILE *output;

	snprintf(command, sizeof(command), "sh '%s/ceph.sh' up %s/ceph", TEST_LIB, folder);
	output = popen(command, "r");
	ck_assert_ptr_nonnull(output);
	while (fgets(line, sizeof(line), output) != NULL) {
		take_line(line, "S3_ENDPOINT", endpoint, sizeof(endpoint));
		take_line(line, "S3_ACCESS_KEY", access_key, sizeof(access_key));
		take_line(line, "S3_SECRET_KEY", secret_key, sizeof(secret_key));
	}
	ck_assert_msg(pclose(output) == 0,
		      "radosgw does not start; the packages are ceph-mon ceph-osd ceph-common radosgw");
}

static void make_bucket(void)
{
	struct lab_volume volume;
	struct lab_raw raw;
	struct s3_call call;
	int status;

	lab_volume(&volume, 0);
	lab_raw_open(&raw, &volume);
	s3_call_init(&call, &raw.client, "PUT", NULL);
	status = s3_http_call(raw.session.http, &call);
	ck_assert_msg(status == 0 || status == -EEXIST, "the bucket cannot be made: %s", call.error.code);
	s3_call_free(&call);
	lab_raw_close(&raw);
}

void lab_set_up(void)
{
	FILE *file;

	if (lab_endpoint != NULL)
		return;
	snprintf(folder, sizeof(folder), "/tmp/tgtkit-s3-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	owner = getpid();
	atexit(stop);
	if (!take_environment())
		start();
	snprintf(secret_file, sizeof(secret_file), "%s/secret", folder);
	file = fopen(secret_file, "w");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "%s\n", secret_key);
	fclose(file);
	lab_endpoint = endpoint;
	lab_folder = folder;
	make_bucket();
}

void lab_option(struct lab_volume *volume, const char *key, const char *value)
{
	for (size_t i = 0; i < LAB_OPTIONS - 1; i++) {
		if (volume->options[i].key == NULL || strcmp(volume->options[i].key, key) == 0) {
			volume->options[i] = (struct fh_option){key, value};
			return;
		}
	}
	ck_abort_msg("too many options");
}

void lab_volume(struct lab_volume *volume, uint64_t size_bytes)
{
	static unsigned count;

	*volume = (struct lab_volume){0};
	snprintf(volume->path, sizeof(volume->path), "%s/%ld.%u.%llx", LAB_BUCKET, (long)getpid(), count++,
		 (unsigned long long)time(NULL));
	lab_option(volume, "endpoint", endpoint);
	lab_option(volume, "access_key", access_key);
	lab_option(volume, "secret_key_file", secret_file);
	lab_option(volume, "chunk_size", "64K");
	lab_option(volume, "cache_size", "2M");
	lab_option(volume, "lease_s", "3");
	volume->spec = (struct fh_spec){.path = volume->path, .options = volume->options, .size_bytes = size_bytes};
}

struct fh_unit *lab_open(struct lab_volume *volume)
{
	struct fh_unit *unit;

	volume->spec.plugin = fh_load(S3_PLUGIN);
	volume->spec.path = volume->path;
	volume->spec.options = volume->options;
	ck_assert_msg(fh_open(&volume->spec, &unit) == 0, "%s", fh_error());
	return unit;
}

struct fh_unit *lab_create(struct lab_volume *volume)
{
	struct fh_unit *unit;

	volume->spec.flags |= TGTKIT_OPEN_CREATE;
	unit = lab_open(volume);
	volume->spec.flags &= ~(uint32_t)TGTKIT_OPEN_CREATE;
	return unit;
}

void lab_raw_open(struct lab_raw *raw, const struct lab_volume *volume)
{
	const char *reason;

	s3_client_init(&raw->client);
	raw->client.region = strdup("us-east-1");
	ck_assert_int_eq(s3_address_parse(volume->path, endpoint, "us-east-1", true, &raw->client.address, &reason), 0);
	s3_client_set_credentials(&raw->client, s3_credentials_new(access_key, secret_key, NULL, 0));
	raw->session = (struct s3_session){.http = s3_http_new(NULL), .client = &raw->client};
	ck_assert_ptr_nonnull(raw->session.http);
}

void lab_raw_close(struct lab_raw *raw)
{
	s3_http_free(raw->session.http);
	s3_client_free(&raw->client);
}

size_t lab_count(struct lab_raw *raw, const char *start)
{
	struct tgtkit_error error;
	struct s3_list list;
	size_t count;

	ck_assert_msg(s3_objects_list(&raw->session, start, NULL, NULL, 0, &list, &error) == 0, "%s", error.message);
	count = list.count;
	s3_list_free(&list);
	return count;
}

void lab_fill(void *buffer, size_t length, uint64_t offset, uint32_t seed)
{
	unsigned char *bytes = buffer;

	for (size_t i = 0; i < length; i++) {
		const uint64_t at = offset + i;

		bytes[i] = (unsigned char)((at ^ (at >> 9) * 131) * (seed * 2 + 1) + seed);
	}
}

uint64_t lab_counter(struct fh_unit *unit, const char *name)
{
	const struct tgtkit_plugin *plugin = fh_load(S3_PLUGIN);
	uint64_t values[16];

	plugin->read_counters(fh_handle(unit), values);
	for (size_t i = 0; plugin->counters[i].name != NULL; i++)
		if (strcmp(plugin->counters[i].name, name) == 0)
			return values[i];
	ck_abort_msg("there is no counter %s", name);
}
