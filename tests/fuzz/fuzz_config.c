/* Settings: each line is a word of the command line, or NAME=value of the environment. */
#include "config/config.h"
#include "fuzz.h"

#include <ctype.h>

#define WORDS_MAX 32

/* Names of files would have the fuzzer read whatever is on this machine. */
static bool is_variable(const char *line)
{
    static const char *const prefixes[] = {"SWEEPER_", "DB_", "REDIS_", "DATABASE_URL", "LOG_"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(line, prefixes[i], strlen(prefixes[i])) == 0)
            return strchr(line, '=') != NULL && strstr(line, "_FILE") == NULL;
    return false;
}

static void read_settings(int argc, char **argv)
{
    struct config c;
    char error[200];
    memset(&c, 0, sizeof(c));
    memset(error, '#', sizeof(error));
    if (config_read(&c, argc, argv, error, sizeof(error)) == 0) {
        char *postgres = c.conninfo != NULL ? config_describe_postgres(&c) : NULL;
        char *redis = c.conninfo != NULL ? config_describe_redis(&c) : NULL;
        FUZZ_CHECK(
            c.mode == MODE_HELP || c.mode == MODE_VERSION ||
            (c.batch_size >= 1 && c.batch_size <= 5000 && c.workers >= 1 && c.workers <= 16));
        FUZZ_CHECK_MEMORY(c.mode == MODE_HELP || c.mode == MODE_VERSION ||
                          (postgres != NULL && redis != NULL));
        free(postgres);
        free(redis);
    } else {
        FUZZ_CHECK(memchr(error, '\0', sizeof(error)) != NULL && error[0] != '\0');
        for (const char *p = error; *p != '\0'; p++)
            FUZZ_CHECK(!iscntrl((unsigned char)*p));
    }
    config_clear(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    char name[] = "reservation-sweeper";
    char *argv[WORDS_MAX + 2] = {name};
    int argc = 1;
    char *rest = NULL;
    (void)clearenv();
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (is_variable(line)) {
            char *value = strchr(line, '=');
            *value++ = '\0';
            (void)setenv(line, value, 1);
        } else if (strncmp(line, "--queues", 8) != 0 && argc <= WORDS_MAX) {
            argv[argc++] = line;
        }
    }
    read_settings(argc, argv);
    free(text);
    return 0;
}
