/* Command lines and variables for the tests of config: see config_line.h. */
#include "config_line.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 12

struct config config;
char sentence_said[512];

/* Only what a test sets is in the environment: the tests' own LOG_LEVEL, say, is not. */
int config_setup(void **state)
{
    (void)state;
    return clearenv();
}

int config_teardown(void **state)
{
    (void)state;
    config_clear(&config);
    return 0;
}

/* Reads a command line given as words separated by blanks, in memory that can be written to. The
 * words stay in `line`, where a test can look at them afterwards. */
int read_line(char *line)
{
    char *argv[WORDS_MAX + 2] = {"reservation-sweeper"};
    int argc = 1;
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
        assert_true(argc <= WORDS_MAX);
        argv[argc++] = strcmp(word, "''") == 0 ? word + 2 : word;
    }
    config_clear(&config);
    memset(sentence_said, '#', sizeof(sentence_said));
    return config_read(&config, argc, argv, sentence_said, sizeof(sentence_said));
}

int read_words(const char *words)
{
    char line[1024];
    assert_true(strlen(words) < sizeof(line));
    memcpy(line, words, strlen(words) + 1);
    return read_line(line);
}

void expect_taken(const char *words)
{
    if (read_words(words) != 0)
        fail_msg("%s: %s", words, sentence_said);
}

void expect_refused(const char *words, const char *sentence)
{
    if (read_words(words) != -1)
        fail_msg("%s: was taken", words);
    if (strcmp(sentence_said, sentence) != 0)
        fail_msg("%s:\n  said   %s\n  wanted %s", words, sentence_said, sentence);
}

/* With one variable set. */
void expect_variable_refused(const char *name, const char *value, const char *sentence)
{
    setenv(name, value, 1);
    expect_refused("", sentence);
    unsetenv(name);
}
