/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "objects.h"

#define READINGS 16u

static int carry_out(const struct s3_session *session, struct s3_call *call, struct tgtkit_error *error)
{
	int status;

	call->deadline_ns = session->deadline_ns;
	call->attempts = session->attempts;
	status = s3_http_call(session->http, call);
	if (status != 0 && error != NULL)
		s3_call_describe(call, error->message, sizeof(error->message));
	return status;
}

int s3_object_get(const struct s3_session *session, const char *relative, struct s3_text *content,
		  struct tgtkit_error *error)
{
	struct s3_call call;
	int status;

	s3_call_init(&call, session->client, "GET", relative);
	call.is_whole = true;
	status = carry_out(session, &call, error);
	if (status == 0) {
		s3_text_free(content);
		*content = call.response;
		call.response = (struct s3_text){0};
		if (content->data == NULL)
			s3_text_add(content, "");
	}
	s3_call_free(&call);
	return status;
}

int s3_object_put(const struct s3_session *session, const char *relative, const void *bytes, size_t length,
		  bool if_none_match, struct tgtkit_error *error)
{
	struct iovec body = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
	struct s3_call call;
	int status;

	s3_call_init(&call, session->client, "PUT", relative);
	call.if_none_match = if_none_match;
	call.body = &body;
	call.body_count = 1;
	call.body_bytes = length;
	status = carry_out(session, &call, error);
	s3_call_free(&call);
	return status;
}

static int disagree(const struct s3_session *session, const char *relative, struct tgtkit_error *error)
{
	if (error != NULL)
		snprintf(error->message, sizeof(error->message),
			 "%s/%s%s reads differently each time: is the network damaging data?",
			 session->client->address.bucket, session->client->address.prefix, relative);
	return -EIO;
}

int s3_object_get_surely(const struct s3_session *session, const char *relative, struct s3_text *content,
			 struct tgtkit_error *error)
{
	struct s3_text again = {0};
	int status = s3_object_get(session, relative, content, error);

	if (session->client->address.is_tls)
		return status;
	for (unsigned i = 0; i < READINGS && status == 0; i++) {
		status = s3_object_get(session, relative, &again, error);
		if (status == 0 && again.length == content->length &&
		    memcmp(again.data, content->data, again.length) == 0) {
			s3_text_free(&again);
			return 0;
		}
		s3_text_free(content);
		*content = again;
		again = (struct s3_text){0};
	}
	s3_text_free(&again);
	return status == 0 ? disagree(session, relative, error) : status;
}

static int list_page(const struct s3_session *session, const char *relative, const char *start_after,
		     const char *delimiter, size_t limit, struct s3_list *list, struct tgtkit_error *error)
{
	const char *prefix = session->client->address.prefix;
	struct s3_call call;
	struct s3_text whole = {0};
	char number[24];
	int status;

	s3_call_init(&call, session->client, "GET", NULL);
	if (list->next_token != NULL)
		s3_query_add(&call.query, "continuation-token", list->next_token);
	if (delimiter != NULL)
		s3_query_add(&call.query, "delimiter", delimiter);
	s3_query_add(&call.query, "encoding-type", "url");
	s3_query_add(&call.query, "list-type", "2");
	snprintf(number, sizeof(number), "%zu", limit == 0 || limit > 1000 ? 1000 : limit);
	s3_query_add(&call.query, "max-keys", number);
	s3_text_format(&whole, "%s%s", prefix, relative);
	s3_query_add(&call.query, "prefix", whole.data == NULL ? "" : whole.data);
	if (start_after != NULL) {
		s3_text_clear(&whole);
		s3_text_format(&whole, "%s%s", prefix, start_after);
		s3_query_add(&call.query, "start-after", whole.data == NULL ? "" : whole.data);
	}
	call.query.failed |= whole.failed;
	s3_text_free(&whole);
	status = carry_out(session, &call, error);
	if (status == 0) {
		status =
		    s3_list_parse(call.response.data == NULL ? "" : call.response.data, call.response.length, list);
		if (status != 0 && error != NULL)
			snprintf(error->message, sizeof(error->message),
				 "the list of bucket %s cannot be understood: is %s an S3 server?",
				 session->client->address.bucket, session->client->address.origin);
	}
	s3_call_free(&call);
	return status;
}

int s3_objects_list(const struct s3_session *session, const char *relative, const char *start_after,
		    const char *delimiter, size_t limit, struct s3_list *list, struct tgtkit_error *error)
{
	int status = -EBADMSG;

	/* One that cannot be understood was damaged on its way, most likely: again from the start. */
	for (unsigned i = 0; i < READINGS && status == -EBADMSG; i++) {
		*list = (struct s3_list){0};
		do {
			status = list_page(session, relative, start_after, delimiter, limit, list, error);
			if (status == 0 && session->listed != NULL)
				session->listed(session->context, list);
		} while (status == 0 && list->next_token != NULL &&
			 (limit == 0 || list->count + list->prefix_count < limit));
		if (status != 0)
			s3_list_free(list);
	}
	return status;
}

static bool lists_are_equal(const struct s3_list *a, const struct s3_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->objects[i].size_bytes != b->objects[i].size_bytes ||
		    strcmp(a->objects[i].key, b->objects[i].key) != 0)
			return false;
	return true;
}

int s3_objects_list_surely(const struct s3_session *session, const char *relative, const char *start_after,
			   struct s3_list *list, struct tgtkit_error *error)
{
	struct s3_list again;
	int status = s3_objects_list(session, relative, start_after, NULL, 0, list, error);

	if (session->client->address.is_tls)
		return status;
	for (unsigned i = 0; i < READINGS && status == 0; i++) {
		bool are_equal;

		status = s3_objects_list(session, relative, start_after, NULL, 0, &again, error);
		are_equal = status == 0 && lists_are_equal(list, &again);
		s3_list_free(list);
		*list = again;
		if (are_equal)
			return 0;
	}
	if (status != 0)
		return status;
	s3_list_free(list);
	return disagree(session, relative, error);
}

static void add_escaped(struct s3_text *text, const char *string)
{
	for (; *string != '\0'; string++) {
		if (*string == '&')
			s3_text_add(text, "&amp;");
		else if (*string == '<')
			s3_text_add(text, "&lt;");
		else if (*string == '>')
			s3_text_add(text, "&gt;");
		else
			s3_text_add_bytes(text, string, 1);
	}
}

void s3_delete_body(char *const *keys, size_t count, struct s3_text *body)
{
	s3_text_add(body, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
	for (size_t i = 0; i < count; i++) {
		s3_text_add(body, "<Object><Key>");
		add_escaped(body, keys[i]);
		s3_text_add(body, "</Key></Object>");
	}
	s3_text_add(body, "</Delete>");
}

void s3_delete_call(struct s3_call *call, struct s3_client *client, struct iovec *body, const struct s3_text *text)
{
	*body = (struct iovec){.iov_base = text->data, .iov_len = text->length};
	s3_call_init(call, client, "POST", NULL);
	s3_query_add(&call->query, "delete", "");
	call->has_content_md5 = true;
	call->body = body;
	call->body_count = 1;
	call->body_bytes = text->length;
}

int s3_objects_delete(const struct s3_session *session, char *const *keys, size_t count, struct tgtkit_error *error)
{
	struct s3_text text = {0};
	struct iovec body;
	struct s3_call call;
	int status;

	s3_delete_body(keys, count, &text);
	if (text.failed) {
		s3_text_free(&text);
		return -ENOMEM;
	}
	s3_delete_call(&call, session->client, &body, &text);
	status = carry_out(session, &call, error);
	if (status == 0 && call.response.length > 0) {
		s3_error_parse(call.response.data, call.response.length, &call.error);
		if (call.error.code[0] != '\0') {
			status = -EIO;
			if (error != NULL)
				s3_call_describe(&call, error->message, sizeof(error->message));
		}
	}
	s3_call_free(&call);
	s3_text_free(&text);
	return status;
}
