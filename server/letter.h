/* letter.h - what one thread asks a loop to do: embedded in whatever it is about. See loop_post. */
#ifndef SERVER_LETTER_H
#define SERVER_LETTER_H

struct letter {
	struct letter *next;
	void (*deliver)(struct letter *l); /* on the loop's thread */
};

#endif
