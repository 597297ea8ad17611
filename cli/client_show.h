/* client_show.h - what is told about the properties of a client: -X list, -X dump. */
#ifndef CLI_CLIENT_SHOW_H
#define CLI_CLIENT_SHOW_H

#include "cli/client_config.h"

/* Answers -X list and -X dump, of which the first counts; false: neither was asked. The list needs no c. */
bool client_show_list(const struct options *o);
bool client_show_dump(const struct options *o, const struct client_config *c);

#endif
