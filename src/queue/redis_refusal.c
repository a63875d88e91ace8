/* The due queue: what Redis says when it refuses, as an operator can read it. */
#include "queue/redis_refusal.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACE "user_script:"
#define HEAD "ERR Error running script (call to " /* Dragonfly names no line behind it */
#define TAIL " script: "
#define CALL "redis.call('"

/* The line of the script that an error of it names; 0: none. Redis 6.2 says "@user_script:12:
 * @user_script: 12: -NOPERM ...", later ones "... script: <sha>, on @user_script:12.". */
static unsigned long line_of(const char *error)
{
    const char *place = strstr(error, PLACE);
    return place != NULL ? strtoul(place + sizeof(PLACE) - 1, NULL, 10) : 0;
}

/* The command that a line of a script calls, borrowed from it; its length is 0 when there is none.
 */
static const char *command_at(const char *text, unsigned long line, int *len)
{
    const char *call, *end;
    *len = 0;
    for (; line > 1 && text != NULL; line--) {
        text = strchr(text, '\n');
        text = text != NULL ? text + 1 : NULL;
    }
    if (line == 0 || text == NULL)
        return "";
    end = text + strcspn(text, "\n");
    call = strstr(text, CALL);
    if (call == NULL || call >= end)
        return "";
    call += sizeof(CALL) - 1;
    *len = (int)strcspn(call, "'");
    return call;
}

/* Redis's own words without where in the script it was. */
static const char *words_of(const char *error, int *len)
{
    const char *place = strstr(error, "user_script: ");
    const char *tail = NULL;
    if (place != NULL && (place = strstr(place + 1, ": ")) != NULL &&
        (place = strstr(place + 2, ": ")) != NULL)
        error = place + 2;
    else if (strncmp(error, HEAD, sizeof(HEAD) - 1) == 0 && (place = strstr(error, "): ")) != NULL)
        error = place + 3;
    if (*error == '-')
        error++;
    for (place = strstr(error, TAIL); place != NULL; place = strstr(place + 1, TAIL))
        tail = place;
    if (tail != NULL && strstr(tail, ", on @" PLACE) == NULL)
        tail = NULL;
    *len = tail != NULL ? (int)(tail - error) : (int)strlen(error);
    return error;
}

void due_refusal_text(char *out, size_t size, const struct due_refusal *refusal)
{
    const char *text = refusal->script != NULL ? refusal->script->text : NULL;
    bool keys = strstr(refusal->error, "NOPERM") != NULL && strstr(refusal->error, " key") != NULL;
    int command_len, words_len;
    const char *command = command_at(text, line_of(refusal->error), &command_len);
    const char *words = words_of(refusal->error, &words_len);
    if (refusal->script == NULL)
        snprintf(out, size, "%s: %s", refusal->command, words);
    else
        snprintf(out, size, "%.*s%s%s.lua: %.*s", command_len, command,
                 command_len > 0 ? " in " : "", refusal->script->name, words_len, words);
    if (keys && strlen(out) < size)
        snprintf(out + strlen(out), size - strlen(out), " (the keys are %s*)", refusal->prefix);
}

bool due_refusal_passing(const char *text)
{
    static const char *const words[] = {": ASK ", ": TRYAGAIN ", ": CLUSTERDOWN "};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strstr(text, words[i]) != NULL)
            return true;
    return false;
}
