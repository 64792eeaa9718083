/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUEST_TIMEOUT_S 120L

static const char *socket_path = TGTKIT_RUNDIR "/api.sock";

struct answer {
	char *text;
	size_t length;
	long status;
};

void client_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("tgtkit: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(EXIT_REFUSED);
}

void client_set_socket(const char *path)
{
	socket_path = path;
}

const char *client_encode(const char *name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:";
	static char *text;
	char *to;

	free(text);
	text = to = malloc(strlen(name) * 3 + 1);
	if (!text)
		client_fail("out of memory");
	for (; *name; name++) {
		if (strchr(plain, *name))
			*to++ = *name;
		else
			to += sprintf(to, "%%%02X", (unsigned char)*name);
	}
	*to = '\0';
	return text;
}

static size_t take(char *data, size_t size, size_t count, void *context)
{
	struct answer *answer = context;
	char *grown = realloc(answer->text, answer->length + size * count + 1);

	if (!grown)
		return 0;
	memcpy(grown + answer->length, data, size * count);
	answer->text = grown;
	answer->length += size * count;
	grown[answer->length] = '\0';
	return size * count;
}

static void __attribute__((noreturn)) fail_to_reach(CURLcode code, const char *detail)
{
	if (code == CURLE_COULDNT_CONNECT && access(socket_path, F_OK))
		client_fail("%s: no such socket: is tgtkitd running, and with this socket (--socket)?", socket_path);
	if (code == CURLE_COULDNT_CONNECT)
		client_fail("%s: cannot connect: is tgtkitd running, and may you use its socket?", socket_path);
	client_fail("%s: %s", socket_path, *detail ? detail : curl_easy_strerror(code));
}

static void perform(const char *method, const char *path, const char *body, struct answer *answer)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	char detail[CURL_ERROR_SIZE] = "", url[4096];
	CURL *curl = curl_easy_init();
	CURLcode code;

	if (!curl || !headers)
		client_fail("out of memory");
	snprintf(url, sizeof(url), "http://localhost%s", path);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, REQUEST_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	if (body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	}
	code = curl_easy_perform(curl);
	if (code)
		fail_to_reach(code, detail);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
}

static json_t *parse(const struct answer *answer)
{
	json_error_t error;
	json_t *value = answer->text ? json_loadb(answer->text, answer->length, 0, &error) : NULL;

	if (!value)
		client_fail("%s: the answer (status %ld) is no JSON", socket_path, answer->status);
	return value;
}

static void fail_if_refused(const struct answer *answer)
{
	const char *message = NULL;
	json_t *value;

	if (answer->status < 400)
		return;
	value = parse(answer);
	json_unpack(value, "{s{ss}}", "error", "message", &message);
	if (message)
		client_fail("%s", message);
	/* /healthz tells what ails the daemon in another way. */
	json_dumpf(value, stderr, JSON_COMPACT);
	client_fail("status %ld", answer->status);
}

json_t *client_request(const char *method, json_t *body, const char *path_format, ...)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct answer answer = {0};
	char path[3000];
	va_list arguments;
	json_t *value;

	va_start(arguments, path_format);
	if (vsnprintf(path, sizeof(path), path_format, arguments) >= (int)sizeof(path))
		client_fail("the name is too long");
	va_end(arguments);
	perform(method, path, text, &answer);
	fail_if_refused(&answer);
	value = parse(&answer);
	free(text);
	free(answer.text);
	json_decref(body);
	return value;
}

char *client_text(const char *path)
{
	struct answer answer = {0};

	perform("GET", path, NULL, &answer);
	fail_if_refused(&answer);
	if (!answer.text)
		client_fail("%s: an empty answer", socket_path);
	return answer.text;
}
