/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <libxml/parser.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "xml.h"

static xmlDoc *parse(const char *xml, size_t length)
{
	xmlDoc *document;

	if (length == 0 || length > INT_MAX)
		return NULL;
	document = xmlReadMemory(xml, (int)length, NULL, NULL,
				 XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA);
	if (document != NULL && (document->intSubset != NULL || document->extSubset != NULL)) {
		xmlFreeDoc(document);
		return NULL;
	}
	return document;
}

static bool is_named(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static const xmlNode *child(const xmlNode *parent, const char *name)
{
	for (const xmlNode *node = parent == NULL ? NULL : parent->children; node != NULL; node = node->next)
		if (is_named(node, name))
			return node;
	return NULL;
}

/* Of an element without elements inside; "" for an empty one, NULL for one that is absent. */
static const char *content(const xmlNode *node)
{
	if (node == NULL)
		return NULL;
	if (node->children == NULL)
		return "";
	return node->children->next == NULL && node->children->type == XML_TEXT_NODE
		   ? (const char *)node->children->content
		   : NULL;
}

static char *decoded(const char *string, bool is_encoded)
{
	char *copy = string == NULL ? NULL : strdup(string);

	if (copy != NULL && is_encoded && !s3_decode(copy)) {
		free(copy);
		return NULL;
	}
	return copy;
}

static int add_object(struct s3_list *list, const xmlNode *node, bool is_encoded)
{
	const char *size = content(child(node, "Size"));
	struct s3_listed object;

	if (size == NULL || !s3_parse_number(size, strlen(size), 10, INT64_MAX, &object.size_bytes))
		return -EBADMSG;
	if (list->count == list->capacity) {
		const size_t capacity = list->capacity == 0 ? 1024 : list->capacity * 2;
		struct s3_listed *objects = realloc(list->objects, capacity * sizeof(*objects));

		if (objects == NULL)
			return -ENOMEM;
		list->objects = objects;
		list->capacity = capacity;
	}
	object.key = decoded(content(child(node, "Key")), is_encoded);
	if (object.key == NULL)
		return -EBADMSG;
	list->objects[list->count++] = object;
	return 0;
}

static int add_prefix(struct s3_list *list, const xmlNode *node, bool is_encoded)
{
	char **prefixes = realloc(list->prefixes, (list->prefix_count + 1) * sizeof(*prefixes));

	if (prefixes == NULL)
		return -ENOMEM;
	list->prefixes = prefixes;
	prefixes[list->prefix_count] = decoded(content(child(node, "Prefix")), is_encoded);
	if (prefixes[list->prefix_count] == NULL)
		return -EBADMSG;
	list->prefix_count++;
	return 0;
}

static int take_page(const xmlNode *root, struct s3_list *list)
{
	const char *truncated = content(child(root, "IsTruncated")), *encoding = content(child(root, "EncodingType"));
	const bool is_encoded = encoding != NULL && strcmp(encoding, "url") == 0;
	int status = 0;

	if (root == NULL || !is_named(root, "ListBucketResult") || truncated == NULL)
		return -EBADMSG;
	for (const xmlNode *node = root->children; node != NULL && status == 0; node = node->next) {
		if (is_named(node, "Contents"))
			status = add_object(list, node, is_encoded);
		else if (is_named(node, "CommonPrefixes"))
			status = add_prefix(list, node, is_encoded);
	}
	free(list->next_token);
	list->next_token = NULL;
	if (status != 0 || strcmp(truncated, "true") != 0)
		return status;
	list->next_token = decoded(content(child(root, "NextContinuationToken")), false);
	return list->next_token == NULL ? -EBADMSG : 0;
}

int s3_list_parse(const char *xml, size_t length, struct s3_list *list)
{
	xmlDoc *document = parse(xml, length);
	int status;

	if (document == NULL)
		return -EBADMSG;
	status = take_page(xmlDocGetRootElement(document), list);
	xmlFreeDoc(document);
	return status;
}

void s3_list_free(struct s3_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->objects[i].key);
	for (size_t i = 0; i < list->prefix_count; i++)
		free(list->prefixes[i]);
	free(list->objects);
	free(list->prefixes);
	free(list->next_token);
	*list = (struct s3_list){0};
}

static void copy_text(const xmlNode *node, char *out, size_t size)
{
	const char *string = content(node);

	snprintf(out, size, "%s", string == NULL ? "" : string);
	/* It goes into log lines. */
	for (char *c = out; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
}

void s3_error_parse(const char *xml, size_t length, struct s3_error_text *error)
{
	xmlDoc *document = parse(xml, length);
	const xmlNode *node = document == NULL ? NULL : xmlDocGetRootElement(document);

	*error = (struct s3_error_text){0};
	if (node != NULL && !is_named(node, "Error"))
		node = child(node, "Error");
	if (node != NULL) {
		copy_text(child(node, "Code"), error->code, sizeof(error->code));
		copy_text(child(node, "Message"), error->message, sizeof(error->message));
		copy_text(child(node, "RequestId"), error->request_id, sizeof(error->request_id));
	}
	if (document != NULL)
		xmlFreeDoc(document);
}
