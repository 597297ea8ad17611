/* connection.h - one TCP connection to one broker: requests out, answers in.
 *
 * Blocking, for one thread at a time, one request under way. What a broker may send is bounded: the
 * length of an answer and the memory that decoding it takes. Errors come as sentences that name the
 * broker; a connection that failed once stays failed and is only good for closing.
 */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include "base/err.h"
#include "base/mem.h"
#include "wire/api.h"

/* Zero means the default; strings are borrowed until the connection closes. */
struct client_options {
	const char *client_id;   /* default "ks" */
	int connect_timeout_ms;  /* of one address; 5 s */
	int request_timeout_ms;  /* 30 s */
	size_t frame_bytes_max;  /* of one answer; 128 MiB */
	size_t arena_bytes_max;  /* for the arrays of one answer; 64 MiB */
	int address_family;      /* AF_INET or AF_INET6 alone; default both */
	int delivery_timeout_ms; /* of a sender: how long it tries to deliver a batch; 60 s */
	int broker_timeout_ms;   /* how long a broker may take over what it has to wait for; 30 s */
	bool is_not_idempotent;  /* of a sender: without producer id also when acks is all */
	int stop_fd; /* once readable, interruptible calls end with ERR_CLOSED; 0: none */
};

struct client_connection;

/* Connects and asks which versions the broker speaks.
 *   ERR_UNREACHABLE  no name, no route, refused, silent, or it does not speak the protocol */
enum ks_err client_connection_open(const char *host, uint16_t port,
				   const struct client_options *options,
				   struct client_connection **out, struct ks_why *why);
void client_connection_close(struct client_connection *c); /* c may be NULL */

/* "host:port", until it is closed. */
const char *client_connection_name(const struct client_connection *c);
/* False once it failed, or when the broker has closed it meanwhile. */
bool client_connection_is_alive(struct client_connection *c);
/* For poll(), while an answer is awaited. */
int client_connection_fd(const struct client_connection *c);

struct client_call {
	int16_t api_key;
	/* The versions that may be used: from the first one to before the end; end 0: up to our
	 * newest. */
	int16_t version_min, version_end;
	const void *request;   /* struct <api>_request */
	int timeout_ms;        /* 0: that of the options */
	int hold_ms;           /* on top of it: how long the broker was asked to wait */
	bool is_interruptible; /* by stop_fd; the connection is lost then */
	bool has_no_answer;    /* Produce with acks 0 */
};

/* An answer and the memory that it lives in. */
struct client_reply {
	void *message; /* struct <api>_response */
	int16_t version;
	struct frame *frame; /* its bytes: keep a reference to keep what points into them */
	struct arena arena;
};
void client_reply_fini(struct client_reply *r); /* zeros are fine too */

/* The newest version that both speak within the call's limits.
 *   ERR_UNSUPPORTED_VERSION  there is none; why says which versions each has */
enum ks_err client_connection_version(const struct client_connection *c,
				      const struct client_call *call, int16_t *out,
				      struct ks_why *why);

/* Asks, and waits for the answer; r is the caller's to release on success. Error codes within the
 * answer are the caller's to look at.
 *   ERR_UNSUPPORTED_VERSION
 *   ERR_UNREACHABLE        the connection broke; whether the broker acted is not known
 *   ERR_REQUEST_TIMED_OUT  likewise
 *   ERR_MALFORMED, ERR_TOO_LARGE  the answer is none of ours, or over a limit
 *   ERR_CLOSED             stop_fd */
enum ks_err client_connection_call(struct client_connection *c, const struct client_call *call,
				   struct client_reply *r, struct ks_why *why);

/* The two halves of a call, for who waits for several brokers at once. */
enum ks_err client_connection_send(struct client_connection *c, const struct client_call *call,
				   struct ks_why *why);
enum ks_err client_connection_receive(struct client_connection *c, struct client_reply *r,
				      struct ks_why *why);

#endif
