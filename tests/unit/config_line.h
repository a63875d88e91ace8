/* For the tests of config: a command line is given as words separated by blanks, '' for an empty
 * one. What it says is then in `config`, or what is wrong with it in `sentence_said`. */
#ifndef RS_CONFIG_LINE_H
#define RS_CONFIG_LINE_H

#include "config/config.h"

extern struct config config;
extern char sentence_said[512];

/* For cmocka: an empty environment before the test, an empty config after it. */
int config_setup(void **state);
int config_teardown(void **state);

/* Reads a line in place, as config_read does with argv, so that a test can look at what is left. */
int read_line(char *line);
int read_words(const char *words);

/* Fail the test unless the words are taken, or refused with this sentence. */
void expect_taken(const char *words);
void expect_refused(const char *words, const char *sentence);

/* The same with no words and one variable set. */
void expect_variable_refused(const char *name, const char *value, const char *sentence);

#endif
