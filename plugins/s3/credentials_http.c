/* SPDX-License-Identifier: Apache-2.0
 *
 * Credentials from services: STS with a web identity, a container's endpoint, an instance's metadata.  Never through a
 * proxy, never redirected, each within a few seconds.
 */
#include <config.h>

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "credentials.h"

#define SERVICE_TIMEOUT_MS   4000L
#define CONNECT_TIMEOUT_MS   1000L
#define SERVICE_ANSWER_LIMIT (1u << 20)
#define INSTANCE_ENDPOINT    "http://169.254.169.254"
#define CONTAINER_ENDPOINT   "http://169.254.170.2"
#define INSTANCE_ROLES	     "/latest/meta-data/iam/security-credentials/"
#define STS_VERSION	     "2011-06-15"

static const char *environment(const char *name)
{
	const char *value = secure_getenv(name);

	return value == NULL || value[0] == '\0' ? NULL : value;
}

static size_t collect(char *bytes, size_t size, size_t count, void *context)
{
	struct s3_text *text = context;

	if (text->length + size * count > SERVICE_ANSWER_LIMIT)
		return 0;
	s3_text_add_bytes(text, bytes, size * count);
	return size * count;
}

struct question {
	const char *method, *url, *header, *form, *ca_file; /* the last three may be NULL */
};

/* 0 and the body of a 200; -EHOSTUNREACH: nobody answers there; -EACCES: another answer. */
static int ask(const struct question *question, struct s3_text *answer)
{
	CURL *easy = curl_easy_init();
	struct curl_slist *headers = NULL;
	long http_status = 0;
	CURLcode status;

	if (easy == NULL)
		return -ENOMEM;
	s3_text_clear(answer);
	s3_text_add(answer, "");
	if (question->header != NULL)
		headers = curl_slist_append(NULL, question->header);
	curl_easy_setopt(easy, CURLOPT_URL, question->url);
	if (question->form != NULL)
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, question->form);
	else
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, question->method);
	if (question->ca_file != NULL)
		curl_easy_setopt(easy, CURLOPT_CAINFO, question->ca_file);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, SERVICE_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
	status = curl_easy_perform(easy);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &http_status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(easy);
	if (answer->failed)
		return -ENOMEM;
	if (status != CURLE_OK)
		return -EHOSTUNREACH;
	return http_status == 200 ? 0 : -EACCES;
}

static uint64_t parse_time(const char *string)
{
	struct tm parts = {0};
	time_t seconds;

	if (string == NULL || strptime(string, "%Y-%m-%dT%H:%M:%S", &parts) == NULL)
		return 0;
	seconds = timegm(&parts);
	return seconds > 0 ? (uint64_t)seconds : 0;
}

/* What both metadata services answer. */
static int from_json(const struct s3_text *answer, struct s3_credentials **credentials)
{
	json_t *object = json_loadb(answer->data, answer->length, 0, NULL);
	const char *access_key = json_string_value(json_object_get(object, "AccessKeyId"));
	const char *secret_key = json_string_value(json_object_get(object, "SecretAccessKey"));
	int status = -EBADMSG;

	if (access_key != NULL && secret_key != NULL) {
		*credentials =
		    s3_credentials_new(access_key, secret_key, json_string_value(json_object_get(object, "Token")),
				       parse_time(json_string_value(json_object_get(object, "Expiration"))));
		status = *credentials == NULL ? -ENOMEM : 0;
	}
	json_decref(object);
	return status;
}

static int fail(struct tgtkit_error *error, const char *source, const char *url, int status)
{
	snprintf(error->message, sizeof(error->message), "%s at %s gave no credentials: %s", source, url,
		 strerror(-status));
	return status == -ENOENT ? -EACCES : status;
}

/* ---- Web identity
 * ----------------------------------------------------------------------------------------------------- */

static char *xml_content(const xmlNode *node, const char *name)
{
	char *found = NULL;

	for (; node != NULL && found == NULL; node = node->next) {
		if (node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0 &&
		    node->children != NULL && node->children->type == XML_TEXT_NODE)
			return strdup((const char *)node->children->content);
		if (node->type == XML_ELEMENT_NODE)
			found = xml_content(node->children, name);
	}
	return found;
}

static int from_sts(const struct s3_text *answer, struct s3_credentials **credentials)
{
	xmlDoc *document = xmlReadMemory(answer->data, (int)answer->length, NULL, NULL,
					 XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	const xmlNode *root = document == NULL || document->intSubset != NULL ? NULL : xmlDocGetRootElement(document);
	char *access_key = xml_content(root, "AccessKeyId"), *secret_key = xml_content(root, "SecretAccessKey");
	char *token = xml_content(root, "SessionToken"), *expiration = xml_content(root, "Expiration");
	int status = -EBADMSG;

	if (access_key != NULL && secret_key != NULL) {
		*credentials = s3_credentials_new(access_key, secret_key, token, parse_time(expiration));
		status = *credentials == NULL ? -ENOMEM : 0;
	}
	free(access_key);
	free(secret_key);
	free(token);
	free(expiration);
	if (document != NULL)
		xmlFreeDoc(document);
	return status;
}

static void sts_form(const char *role, const char *token, struct s3_text *form)
{
	const char *session = environment("AWS_ROLE_SESSION_NAME");

	s3_query_add(form, "Action", "AssumeRoleWithWebIdentity");
	s3_query_add(form, "RoleArn", role);
	s3_query_add(form, "RoleSessionName", session == NULL ? "tgtkit" : session);
	s3_query_add(form, "Version", STS_VERSION);
	s3_query_add(form, "WebIdentityToken", token);
}

int s3_credentials_from_web_identity(const struct s3_settings *settings, struct s3_credentials **credentials,
				     struct tgtkit_error *error)
{
	const char *token_file = environment("AWS_WEB_IDENTITY_TOKEN_FILE"), *role = environment("AWS_ROLE_ARN");
	const char *endpoint = environment("AWS_ENDPOINT_URL_STS");
	struct s3_text url = {0}, form = {0}, answer = {0};
	char *token;
	int status;

	if (token_file == NULL || role == NULL)
		return -ENOENT;
	token = s3_small_file(token_file);
	if (token == NULL) {
		snprintf(error->message, sizeof(error->message), "%s (AWS_WEB_IDENTITY_TOKEN_FILE) cannot be read",
			 token_file);
		return -EACCES;
	}
	sts_form(role, token, &form);
	if (endpoint != NULL)
		s3_text_add(&url, endpoint);
	else
		s3_text_format(&url, "https://sts.%s.amazonaws.com/", settings->region);
	status = url.failed || form.failed
		     ? -ENOMEM
		     : ask(&(struct question){.url = url.data,
					      .form = form.data,
					      .ca_file = endpoint == NULL ? NULL : settings->ca_file},
			   &answer);
	if (status == 0)
		status = from_sts(&answer, credentials);
	if (status != 0)
		status = fail(error, "the token service", url.data == NULL ? "" : url.data, status);
	free(token);
	s3_text_free(&url);
	s3_text_free(&form);
	s3_text_free(&answer);
	return status;
}

/* ---- Container
 * ----------------------------------------------------------------------------------------------------------- */

static bool authorization_header(struct s3_text *header)
{
	const char *file = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	char *content = file == NULL ? NULL : s3_small_file(file);

	if (file != NULL && content == NULL)
		return false;
	if (content != NULL || token != NULL)
		s3_text_format(header, "Authorization: %s", content != NULL ? content : token);
	free(content);
	return header->data == NULL || strpbrk(header->data, "\r\n") == NULL;
}

int s3_credentials_from_container(struct s3_credentials **credentials, struct tgtkit_error *error)
{
	const char *relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	struct s3_text url = {0}, header = {0}, answer = {0};
	int status;

	if (relative == NULL && full == NULL)
		return -ENOENT;
	if (relative != NULL)
		s3_text_format(&url, "%s%s", CONTAINER_ENDPOINT, relative);
	else
		s3_text_add(&url, full);
	if (!authorization_header(&header))
		status = -EACCES;
	else
		status = ask(&(struct question){.method = "GET", .url = url.data, .header = header.data}, &answer);
	if (status == 0)
		status = from_json(&answer, credentials);
	if (status != 0)
		status = fail(error, "the container's endpoint", url.data == NULL ? "" : url.data, status);
	s3_text_free(&url);
	s3_text_free(&header);
	s3_text_free(&answer);
	return status;
}

/* ---- Instance
 * -------------------------------------------------------------------------------------------------------------- */

static int instance_token(const char *endpoint, struct s3_text *header)
{
	struct s3_text url = {0}, answer = {0};
	int status;

	s3_text_format(&url, "%s/latest/api/token", endpoint);
	status = ask(&(struct question){.method = "PUT",
					.url = url.data,
					.header = "X-aws-ec2-metadata-token-ttl-seconds: 21600"},
		     &answer);
	if (status == 0 && strpbrk(answer.data, "\r\n") != NULL)
		status = -EBADMSG;
	if (status == 0)
		s3_text_format(header, "X-aws-ec2-metadata-token: %s", answer.data);
	s3_text_free(&url);
	s3_text_free(&answer);
	return status;
}

static int instance_role(const char *endpoint, const char *header, struct s3_text *url)
{
	struct s3_text answer = {0};
	int status;

	s3_text_format(url, "%s" INSTANCE_ROLES, endpoint);
	status = ask(&(struct question){.method = "GET", .url = url->data, .header = header}, &answer);
	if (status == 0) {
		answer.data[strcspn(answer.data, "\r\n")] = '\0';
		s3_text_encode(url, answer.data, false);
	}
	s3_text_free(&answer);
	return status;
}

int s3_credentials_from_instance(struct s3_credentials **credentials, struct tgtkit_error *error)
{
	const char *disabled = environment("AWS_EC2_METADATA_DISABLED");
	const char *endpoint = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	struct s3_text url = {0}, header = {0}, answer = {0};
	int status;

	if (disabled != NULL && strcasecmp(disabled, "true") == 0)
		return -ENOENT;
	if (endpoint == NULL)
		endpoint = INSTANCE_ENDPOINT;
	status = instance_token(endpoint, &header);
	if (status == -EHOSTUNREACH) {
		/* No instance of a cloud: the source is not there. */
		s3_text_free(&header);
		return -ENOENT;
	}
	if (status == 0)
		status = instance_role(endpoint, header.data, &url);
	if (status == 0)
		status = ask(&(struct question){.method = "GET", .url = url.data, .header = header.data}, &answer);
	if (status == 0)
		status = from_json(&answer, credentials);
	if (status != 0)
		status = fail(error, "the instance metadata service", endpoint, status);
	s3_text_free(&url);
	s3_text_free(&header);
	s3_text_free(&answer);
	return status;
}
