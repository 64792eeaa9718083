/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char content_type[] = "application/json";

static void answer_text(struct mgmt_request *request, unsigned status, char *text)
{
	size_t length = strlen(text);
	char *line = realloc(text, length + 2);

	if (line) {
		line[length++] = '\n';
		line[length] = '\0';
		text = line;
	}
	mgmt_request_answer(request, status, content_type, text, length);
}

static void answer_no_memory(struct mgmt_request *request)
{
	char *text = strdup("{\"error\":{\"code\":\"internal\",\"message\":\"out of memory\"}}");

	mgmt_request_answer(request, 500, content_type, text, text ? strlen(text) : 0);
}

void mgmt_answer_json(struct mgmt_request *request, unsigned status, json_t *value)
{
	char *text = value ? json_dumps(value, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;

	json_decref(value);
	if (text)
		answer_text(request, status, text);
	else
		answer_no_memory(request);
}

/* A message may repeat bytes of a peer or of a file's name that are no UTF-8. */
static void make_ascii(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
			*text = '?';
}

void mgmt_answer_error(struct mgmt_request *request, unsigned status, const char *code, const char *format, ...)
{
	char message[4096];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	make_ascii(message);
	mgmt_answer_json(request, status, json_pack("{s{ssss}}", "error", "code", code, "message", message));
}
